"""What stands between blank lines: the fences of this package and displayed equations."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser
from markdown.util import AtomicString

from dlbook.publishing import (
    checks_page,
    citations,
    figures,
    glossary,
    inline,
    katex,
    ledger,
    listings,
    quiz,
)
from dlbook.publishing.conversion import Block, Conversion
from dlbook.publishing.errors import UnplacedError
from dlbook.publishing.parts import OWN, PROMPT, PYTHON, Display, Fence
from dlbook.publishing.yamlread import Entry, load

# What a chapter may hold as it is typed; everything else comes by name.
TYPED = ("pycon", "console", "text", "yaml", "toml", "json", "ini", "bibtex", "markdown", "diff")

HANDLERS: dict[str, Callable[[Block], list[str]]] = {
    "source": listings.listing,
    "figure": figures.figure,
    "quiz": quiz.quiz,
    "checks": checks_page.checks_page,
    "ledger": ledger.table,
    "references": citations.references,
    "bibliography": citations.bibliography,
    "glossary": glossary.glossary,
}
EMPTY = ("ledger", "references", "bibliography", "glossary")


def own(work: Conversion, fence: Fence) -> list[str]:
    """Return the Markdown for a fence of this package.

    Raises
    ------
    BookError
        Something in it is wrong.
    """
    file = work.page.file
    body = load("\n".join(fence.body), file, fence.line + 1)

    def convert(text: str, place: tuple[str, int] | None = None) -> str:
        return inline.convert(work, text.strip(), *(place or (file, fence.line_of(text))))

    try:
        if fence.info in EMPTY and body is not None:
            raise UnplacedError(f"a {fence.info} fence takes nothing", "leave it empty")
        return HANDLERS[fence.info](Block(work, fence, body, convert))
    except UnplacedError as error:
        raise error.at(file, body.line if isinstance(body, Entry) else fence.line) from None


def typed(work: Conversion, fence: Fence) -> None:
    """Refuse a fence that would show code which nothing runs.

    Raises
    ------
    BookError
        Python is typed by hand, a session is not run, or the language is unknown.
    """
    problem = remedy = ""
    prompts = any(PROMPT.match(line) for line in fence.body)
    if fence.language in PYTHON:
        problem = "Python is typed by hand"
        remedy = "quote the package with ``` source, or run the code as >>> in ``` pycon"
    elif prompts and fence.language != "pycon":
        problem, remedy = f">>> in a fence marked {fence.info!r} is never run", "mark it ``` pycon"
    elif fence.language == "pycon" and not prompts:
        problem, remedy = "a pycon fence without >>> is never run", "begin its code with >>>"
    elif fence.language in OWN:
        problem = f"the fence {fence.info!r} is not understood"
        remedy = f"write ``` {fence.language} and put everything else inside, as YAML"
    elif fence.language not in TYPED:
        problem = f"a fence is marked {fence.info!r}"
        remedy = f"use one of {', '.join((*OWN, *TYPED))}"
    if problem:
        raise work.page.error(fence.line, problem, remedy)


def display(work: Conversion, part: Display) -> str:
    """Return the block of a displayed equation: math, number, and the mark that it is checked.

    Raises
    ------
    BookError
        It has no id, or nothing proves it as it stands.
    """
    equation = work.equations[part.line]
    try:
        drawn = katex.display(equation.latex, f"Equation {equation.number}")
    except UnplacedError as error:
        raise error.at(work.page.file, part.line) from None

    def build(parent: Element, _: BlockParser) -> None:
        box = SubElement(parent, "div", {"id": equation.anchor, "class": "equation"})
        box.text = AtomicString(work.raw(drawn))
        mark = SubElement(box, "p", {"class": "equation-mark"})
        if equation.exempt:
            SubElement(mark, "span", {"title": equation.exempt}).text = "not checked"
        else:
            target = f"{checks_page.page_of(work.page.slug)}#{equation.id}"
            title = "How this equation is checked"
            link = {"href": work.page.link(target), "title": title, "class": "equation-checked"}
            SubElement(mark, "a", link).text = AtomicString("✓ checked")
        SubElement(mark, "span", {"class": "equation-number"}).text = f"({equation.number})"

    return work.block(build)
