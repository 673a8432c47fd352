"""What stands between blank lines: the fences of this package and displayed equations."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any
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
    listings,
    quiz,
)
from dlbook.publishing.conversion import Conversion
from dlbook.publishing.errors import Mistake
from dlbook.publishing.parts import OWN, PROMPT, Display, Fence
from dlbook.publishing.yamlread import fields, load

# What a chapter may hold as it is typed; everything else comes by name.
ORDINARY = ("pycon", "console", "text", "yaml", "toml", "json", "ini", "bibtex", "markdown", "diff")


def ordinary(work: Conversion, fence: Fence) -> None:
    """Refuse a fence that would show code which nothing runs.

    Raises
    ------
    BookError
        Python is typed by hand, a session is not run, or the language is unknown.
    """
    error = work.page.error
    language = fence.language
    prompts = any(PROMPT.match(line) for line in fence.body)
    if language in ("python", "py", "python3", "ipython"):
        raise error(
            fence.line,
            "Python is typed by hand",
            "quote the package with a ``` source fence, or run the code as >>> in ``` pycon",
        )
    if prompts and language != "pycon":
        raise error(
            fence.line, f">>> in a fence marked {fence.info!r} is never run", "mark it ``` pycon"
        )
    if language == "pycon" and not prompts:
        raise error(fence.line, "a pycon fence without >>> is never run", "begin code with >>>")
    if language in OWN:
        raise error(
            fence.line,
            f"the fence {fence.info!r} is not read",
            f"write ``` {language} and put everything else inside",
        )
    if language not in ORDINARY:
        known = ", ".join((*OWN, *ORDINARY))
        raise error(fence.line, f"unknown fence {fence.info!r}", f"use one of {known}")


def own(work: Conversion, fence: Fence) -> list[str]:
    """Return the Markdown for a fence of this package.

    Raises
    ------
    BookError
        Something in it is wrong.
    """
    body = load("\n".join(fence.body), work.page.file, fence.line + 1)

    def convert(text: str) -> str:
        try:
            return inline.convert(work, text.strip())
        except Mistake as mistake:
            raise mistake.at(work.page.file, fence.line_of(text)) from None

    try:
        return _HANDLERS[fence.info](work, body, convert)
    except Mistake as mistake:
        raise mistake.at(work.page.file, fence.line) from None


Convert = Callable[[str], str]


def _source(work: Conversion, body: Any, convert: Convert) -> list[str]:
    fields(body, "a listing", text=("name",), optional={"doc": bool, "notes": dict})
    listing = listings.find(work.book, body["name"], body.get("doc", True))
    notes = {str(piece): convert(str(text)) for piece, text in body.get("notes", {}).items()}
    lines = listings.fence(listing, notes)
    if target := listings.api_link(work.book, listing.name):
        lines += [_small_link(work, listing.name, work.page.link(target), "listing-link"), ""]
    return lines


def _small_link(work: Conversion, text: str, href: str, css: str) -> str:
    def build(parent: Element, parser: BlockParser) -> None:
        paragraph = SubElement(parent, "p", {"class": css})
        SubElement(paragraph, "a", {"href": href}).text = AtomicString(text)

    return work.block(build)


def _figure(work: Conversion, body: Any, convert: Convert) -> list[str]:
    return [figures.figure(work, body, convert)]


def _quiz(work: Conversion, body: Any, convert: Convert) -> list[str]:
    return [line for block in quiz.quiz(work, body, convert) for line in (block, "")]


def _checks(work: Conversion, body: Any, convert: Convert) -> list[str]:
    fields(body, "a checks fence", text=("chapter",))
    return checks_page.checks_page(work, body["chapter"])


def _ledger(work: Conversion, body: Any, convert: Convert) -> list[str]:
    _empty(body)
    from dlbook.publishing import ledger

    return ledger.markdown(work.book)


def _references(work: Conversion, body: Any, convert: Convert) -> list[str]:
    _empty(body)
    return [citations.references(work)]


def _bibliography(work: Conversion, body: Any, convert: Convert) -> list[str]:
    _empty(body)
    return [citations.bibliography(work)]


def _glossary(work: Conversion, body: Any, convert: Convert) -> list[str]:
    _empty(body)
    return [glossary.glossary(work, convert)]


def _empty(body: Any) -> None:
    if body is not None:
        raise Mistake("this fence takes nothing", "leave it empty")


_HANDLERS: dict[str, Callable[[Conversion, Any, Convert], list[str]]] = {
    "source": _source,
    "figure": _figure,
    "quiz": _quiz,
    "checks": _checks,
    "ledger": _ledger,
    "references": _references,
    "bibliography": _bibliography,
    "glossary": _glossary,
}


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
    except Mistake as mistake:
        raise mistake.at(work.page.file, part.line) from None
    check = work.checks.get(equation.id)

    def build(parent: Element, parser: BlockParser) -> None:
        box = SubElement(parent, "div", {"id": equation.anchor, "class": "equation"})
        box.text = AtomicString(work.raw(drawn))
        mark = SubElement(box, "p", {"class": "equation-mark"})
        if check:
            target = f"{checks_page.page_of(work.page.slug)}#{equation.id}"
            title = "How this equation is checked"
            link = {"href": work.page.link(target), "title": title, "class": "equation-checked"}
            SubElement(mark, "a", link).text = AtomicString("✓ checked")
        else:
            SubElement(mark, "span", {"title": html.escape(equation.exempt)}).text = "not checked"
        SubElement(mark, "span", {"class": "equation-number"}).text = f"({equation.number})"

    return work.block(build)
