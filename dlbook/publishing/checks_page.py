"""The ``checks`` fence: what proves each equation of a chapter, with the code that does."""

from __future__ import annotations

import inspect
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser
from markdown.util import AtomicString

from dlbook.publishing import katex, listings
from dlbook.publishing.conversion import Block, Conversion
from dlbook.publishing.equations import Equation, EquationCheck, checks, equations, verify
from dlbook.publishing.errors import UnplacedError
from dlbook.publishing.yamlread import fields

HOW = {
    "numeric": "Numerically: at 100 or more random points, against an independent computation.",
    "symbolic": "By algebra: SymPy finds that the two sides differ by zero.",
}
READS_PAGE = " The check evaluates the equation as it stands on the page."


def page_of(slug: str) -> str:
    """Return the page, below ``book/``, that shows the checks of a chapter."""
    return f"checks/{slug}.md"


def checks_page(block: Block) -> list[str]:
    """Return the Markdown of all checks of a chapter, in the order of its equations.

    Raises
    ------
    UnplacedError
        There is no such chapter.
    """
    slug = fields(block.body, "a checks fence", text=("chapter",))["chapter"]
    book = block.work.book
    chapter = book.page(slug)
    if chapter is None:
        raise UnplacedError(f"there is no chapter {slug!r}", "give the slug of a page of the book")
    known = checks(book, chapter.module)
    lines: list[str] = []
    for equation in equations(chapter).values():
        check = verify(chapter, equation, known)
        link = block.work.page.link(f"{chapter.name}#{equation.anchor}")
        anchor = equation.id or equation.anchor
        lines += [f"## ({equation.number}) {anchor} {{ #{anchor} }}", ""]
        lines += [_shown(block.work, equation), "", f"[Where it stands in the chapter]({link})", ""]
        lines += _proof(block.work, check) if check else [f"Exempt: {equation.exempt}", ""]
    return [*lines, *_helpers(block.work, chapter.module)]


def _proof(work: Conversion, check: EquationCheck) -> list[str]:
    how = HOW[check.kind] + (READS_PAGE if check.reads_page else "")
    code = listings.find(work.book, f"{check.module}.{check.id}", doc=False)
    documentation = inspect.cleandoc(check.documentation).splitlines()
    return [*documentation, "", how, "", *listings.fence(code, {})]


def _helpers(work: Conversion, module: str) -> list[str]:
    """Return what the checks share: without it the proofs could not be read in full."""
    name = f"tests.equations.{module}"
    proofs = checks(work.book, module)
    others = [other for other in listings.functions(work.book, name) if other not in proofs]
    shared = [listings.find(work.book, f"{name}.{other}") for other in others]
    heading = ["## What these proofs share", ""] if shared else []
    return heading + [line for code in shared for line in listings.fence(code, {})]


def _shown(work: Conversion, equation: Equation) -> str:
    html = katex.display(equation.latex, f"Equation {equation.number}")

    def build(parent: Element, _: BlockParser) -> None:
        box = SubElement(parent, "div", {"class": "equation"})
        box.text = AtomicString(work.raw(html))

    return work.block(build)
