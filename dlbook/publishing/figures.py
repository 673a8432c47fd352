"""The ``figure`` fence: a numbered drawing with its alt text and its caption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser
from markdown.util import AtomicString

from dlbook.publishing import drawings
from dlbook.publishing.conversion import Conversion
from dlbook.publishing.errors import Mistake
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
    Mistake
        The alt text, or another field, is missing or empty.
    """
    optional = {"alt": str, "caption": str, "arguments": dict}
    fields(body, "a figure", text=("name",), optional=optional)
    name = body["name"]
    if not str(body.get("alt") or "").strip():
        raise Mistake(f"the figure {name} has no alt text", "add `alt: …`: what is to be seen")
    if not str(body.get("caption") or "").strip():
        raise Mistake(f"the figure {name} has no caption", "add `caption: …`")
    alt = " ".join(body["alt"].split())
    return Figure(name, alt, body["caption"].strip(), body.get("arguments", {}))


def figure(work: Conversion, body: Any, inline: Callable[[str], str]) -> str:
    """Return the block of a figure; ``inline`` converts its caption."""
    drawn = read(body)
    work.figures += 1
    number = work.figures
    anchor = f"fig-{drawn.id}"
    if work.figure_numbers.get(drawn.id) != number:
        anchor += f"-{number}"
    svg = drawings.themed(drawings.svg(drawn.name, drawn.arguments), anchor, drawn.alt)
    caption = inline(drawn.caption)

    def build(parent: Element, parser: BlockParser) -> None:
        box = SubElement(parent, "figure", {"id": anchor, "class": "drawn"})
        SubElement(box, "div", {"class": "drawing"}).text = AtomicString(work.raw(svg))
        below = SubElement(box, "figcaption")
        parser.parseChunk(below, f"**Figure {number}.** {caption}")

    return work.block(build)
