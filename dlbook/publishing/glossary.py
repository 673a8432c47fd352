"""Terms: ``[[term]]`` where the book defines one, and the glossary that lists them all."""

from __future__ import annotations

import difflib
import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser

from dlbook.publishing.book import Book, Page
from dlbook.publishing.citations import line_of
from dlbook.publishing.conversion import Conversion
from dlbook.publishing.errors import Mistake
from dlbook.publishing.parts import Prose
from dlbook.publishing.yamlread import fields, load

FILE, PAGE = "book/glossary.yml", "glossary.md"


def terms(book: Book) -> dict[str, dict[str, str]]:
    """Return the entries of the glossary.

    Raises
    ------
    BookError
        An entry has no definition, or names a chapter that does not exist.
    """
    path = book.path(FILE)
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    entries: dict[str, Any] = load(text, FILE) or {}
    for term, entry in entries.items():
        try:
            fields(entry, f"the term {term!r}", text=("definition", "chapter"))
            if book.page(entry["chapter"]) is None:
                raise Mistake(
                    f"the term {term!r} belongs to {entry['chapter']!r}, which is no chapter",
                    "give the slug of a page of the book",
                )
        except Mistake as mistake:
            raise mistake.at(FILE, line_of(text, term)) from None
    return entries


def anchor(term: str) -> str:
    """Return the id of a term.

    Examples
    --------
    >>> anchor("weighted sum")
    'weighted-sum'
    """
    return re.sub(r"[^\w]+", "-", term.lower()).strip("-")


def mark(work: Conversion, text: str) -> str:
    """Return the Markdown of ``[[term]]`` or ``[[term|shown text]]``.

    Raises
    ------
    Mistake
        The term is unknown, marked twice, or belongs to another chapter.
    """
    term, _, shown = (part.strip() for part in text.partition("|"))
    known = terms(work.book)
    if term not in known:
        near = difflib.get_close_matches(term, known, 3)
        hint = f", or mark one of {', '.join(near)}" if near else ""
        raise Mistake(f"the term {term!r} is not in the glossary", f"add it to {FILE}{hint}")
    if known[term]["chapter"] != work.page.slug:
        raise Mistake(
            f"the term {term!r} belongs to the chapter {known[term]['chapter']!r}",
            f"mark it there, or change its chapter in {FILE}",
        )
    if term in work.marked:
        raise Mistake(f"the term {term!r} is marked twice", "mark only where it is defined")
    work.marked.add(term)
    link = work.page.link(f"{PAGE}#{anchor(term)}")
    return f'<dfn id="term-{anchor(term)}">[{shown or term}]({link})</dfn>'


def title(page: Page) -> str:
    """Return the first heading of a page."""
    lines = [line for part in page.parts if isinstance(part, Prose) for line in part.lines]
    heading = next((line for line in lines if line.startswith("# ")), f"# {page.slug}")
    return re.sub(r"\s*\{[^}]*\}\s*$", "", heading[2:]).strip()


def glossary(work: Conversion, inline: Any) -> str:
    """Return the block that lists all terms; ``inline`` converts the text of a definition."""
    entries = {
        term: (inline(entry["definition"]), entry["chapter"])
        for term, entry in terms(work.book).items()
    }

    def build(parent: Element, parser: BlockParser) -> None:
        box = SubElement(parent, "dl", {"class": "glossary"})
        for term, (definition, slug) in sorted(entries.items(), key=lambda item: item[0].lower()):
            SubElement(box, "dt", {"id": anchor(term)}).text = term
            place = work.book.page(slug)
            link = work.page.link(f"{slug}.md#term-{anchor(term)}")
            where = f"[{title(place)}]({link})" if place else ""
            parser.parseChunk(SubElement(box, "dd"), f"{definition} ({where})")

    return work.block(build)
