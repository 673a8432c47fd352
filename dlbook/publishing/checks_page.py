"""The ``checks`` fence: what proves each equation of a chapter, with the code that does."""

from __future__ import annotations

import inspect
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser
from markdown.util import AtomicString

from dlbook.publishing import katex, listings
from dlbook.publishing.conversion import Conversion
from dlbook.publishing.equations import Equation, EquationCheck, checks, equations, verify
from dlbook.publishing.errors import Mistake

HOW = {
    "numeric": "Numerically: at 100 or more random points, against an independent computation.",
    "symbolic": "By algebra: SymPy finds that the two sides differ by zero.",
}
READS_PAGE = " The check reads the equation as it stands on the page."


def page_of(slug: str) -> str:
    """Return the page, below ``book/``, that shows the checks of a chapter."""
    return f"checks/{slug}.md"


def checks_page(work: Conversion, slug: str) -> list[str]:
    """Return the Markdown of all checks of a chapter, in the order of its equations.

    Raises
    ------
    Mistake
        There is no such chapter.
    """
    chapter = work.book.page(slug)
    if chapter is None:
        raise Mistake(f"there is no chapter {slug!r}", "give the slug of a page of the book")
    known = checks(work.book, chapter.module)
    lines: list[str] = []
    for equation in equations(chapter).values():
        check = verify(chapter, equation, known)
        link = work.page.link(f"{chapter.name}#{equation.anchor}")
        lines += [f"## {equation.id or 'Exempt'} {{ #{equation.id or equation.anchor} }}", ""]
        lines += [_shown(work, equation), "", f"Equation [({equation.number})]({link}).", ""]
        lines += _proof(work, check) if check else [f"Exempt: {equation.exempt}", ""]
    return lines


def _proof(work: Conversion, check: EquationCheck) -> list[str]:
    name = f"{check.file.removesuffix('.py').replace('/', '.')}.{check.id}"
    how = HOW[check.kind] + (READS_PAGE if check.reads_page else "")
    code = listings.fence(listings.find(work.book, name, doc=False), {})
    return [how, "", *inspect.cleandoc(check.documentation).splitlines(), "", *code]


def _shown(work: Conversion, equation: Equation) -> str:
    html = katex.display(equation.latex, f"Equation {equation.number}")

    def build(parent: Element, parser: BlockParser) -> None:
        box = SubElement(parent, "div", {"class": "equation"})
        box.text = AtomicString(work.raw(html))

    return work.block(build)
