"""The ``figure`` fence: a numbered drawing with its alt text and its caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser
from markdown.util import AtomicString

from dlbook.publishing import drawings
from dlbook.publishing.conversion import Block
from dlbook.publishing.yamlread import fields


@dataclass(frozen=True)
class Figure:
    """A figure fence: which function draws it, and what is said about it."""

    name: str
    alt: str
    caption: str
    arguments: dict[str, Any]

    @property
    def id(self) -> str:
        """The name of the function alone: ``[fig:id]`` links to it."""
        return self.name.rpartition(".")[2]


def read(body: Any) -> Figure:
    """Return what a figure fence says.

    Raises
    ------
    UnplacedError
        The alt text, or another field, is missing or empty.
    """
    what = "the figure"
    if isinstance(body, dict) and isinstance(body.get("name"), str):
        what = f"the figure {body['name']}"
    entry = fields(body, what, text=("name", "alt", "caption"), optional={"arguments": dict})
    alt = " ".join(entry["alt"].split())
    return Figure(entry["name"], alt, entry["caption"].strip(), entry.get("arguments", {}))


def figure(block: Block) -> list[str]:
    """Return the block of a figure.

    Raises
    ------
    UnplacedError
        It is not described, or its function cannot draw it.
    """
    work, drawn = block.work, read(block.body)
    work.figures += 1
    number = work.figures
    anchor = f"fig-{drawn.id}"
    if work.figure_numbers.get(drawn.id) != number:
        anchor += f"-{number}"
    svg = drawings.themed(drawings.svg(drawn.name, drawn.arguments), anchor, drawn.alt)
    caption = block.inline(drawn.caption)

    def build(parent: Element, parser: BlockParser) -> None:
        box = SubElement(parent, "figure", {"id": anchor, "class": "figure"})
        SubElement(box, "div", {"class": "drawing"}).text = AtomicString(work.raw(svg))
        parser.parseChunk(SubElement(box, "figcaption"), f"**Figure {number}.** {caption}")

    return [work.block(build)]
