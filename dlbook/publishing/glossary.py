"""Terms: ``[[term]]`` where the book defines one, and the glossary that lists them all."""

from __future__ import annotations

import difflib
import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser

from dlbook.publishing.book import Book, Page
from dlbook.publishing.conversion import Block, Conversion
from dlbook.publishing.errors import UnplacedError
from dlbook.publishing.parts import Prose
from dlbook.publishing.yamlread import Entry, fields, load

FILE, PAGE = "book/glossary.yml", "glossary.md"


def terms(book: Book) -> dict[str, Entry]:
    """Return the entries of the glossary.

    Raises
    ------
    BookError
        An entry has no definition, or names a chapter that does not exist.
    """
    path = book.path(FILE)
    entries: dict[str, Any] = load(path.read_text(encoding="utf-8"), FILE) if path.is_file() else {}
    for term, entry in (entries or {}).items():
        try:
            fields(entry, f"the term {term!r}", text=("definition", "chapter"))
            if book.page(entry["chapter"]) is None:
                problem = f"the term {term!r} belongs to {entry['chapter']!r}, which is no chapter"
                raise UnplacedError(problem, "give the slug of a page of the book", entry.line)
        except UnplacedError as error:
            raise error.at(FILE, 1) from None
    return entries or {}


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
    UnplacedError
        The term is unknown, marked twice, or belongs to another chapter.
    """
    term, _, shown = (part.strip() for part in text.partition("|"))
    known = work.book.once(terms)
    if term not in known:
        near = difflib.get_close_matches(term, known, 3)
        hint = f", or mark one of {', '.join(near)}" if near else ""
        raise UnplacedError(f"the term {term!r} is not in the glossary", f"add it to {FILE}{hint}")
    chapter = known[term]["chapter"]
    if chapter != work.page.slug:
        problem = f"the term {term!r} belongs to the chapter {chapter!r}"
        raise UnplacedError(problem, f"mark it there, or change its chapter in {FILE}")
    if term in work.marked:
        raise UnplacedError(f"the term {term!r} is marked twice", "mark only where it is defined")
    work.marked.add(term)
    link = work.page.link(f"{PAGE}#{anchor(term)}")
    return f'<dfn id="term-{anchor(term)}">[{shown or term}]({link})</dfn>'


def title(page: Page) -> str:
    """Return the first heading of a page."""
    lines = [line for part in page.parts if isinstance(part, Prose) for line in part.lines]
    heading = next((line for line in lines if line.startswith("# ")), f"# {page.slug}")
    return re.sub(r"\s*\{[^}]*\}\s*$", "", heading[2:]).strip()


def glossary(block: Block) -> list[str]:
    """Return the block that lists all terms.

    Raises
    ------
    BookError
        A definition holds something unknown.
    """
    entries = block.work.book.once(terms)
    shown = {term: _definition(block, term, entry) for term, entry in entries.items()}

    def build(parent: Element, parser: BlockParser) -> None:
        box = SubElement(parent, "dl", {"class": "glossary"})
        for term in sorted(shown, key=str.lower):
            SubElement(box, "dt", {"id": anchor(term)}).text = term
            parser.parseChunk(SubElement(box, "dd"), shown[term])

    return [block.work.block(build)]


def _definition(block: Block, term: str, entry: Entry) -> str:
    slug = entry["chapter"]
    chapter = block.work.book.page(slug)
    link = block.work.page.link(f"{slug}.md#term-{anchor(term)}")
    where = block.inline(title(chapter)) if chapter else slug
    definition = block.inline(entry["definition"], (FILE, entry.line))
    return f"{definition} Defined in [{where}]({link})."
