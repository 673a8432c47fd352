"""Cited works: ``[@key]`` in text, the works a page cites, and the bibliography."""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser

from dlbook.publishing.book import Book
from dlbook.publishing.conversion import Block, Conversion
from dlbook.publishing.errors import UnplacedError
from dlbook.publishing.yamlread import Entry, fields, load

FILE, PAGE = "book/references.yml", "bibliography.md"
KEY = re.compile(r"^[A-Za-z][\w-]*$")


def works(book: Book) -> dict[str, Entry]:
    """Return all works that can be cited, by key.

    Raises
    ------
    BookError
        A work lacks one of its fields.
    """
    path = book.path(FILE)
    entries: dict[str, Any] = load(path.read_text(encoding="utf-8"), FILE) if path.is_file() else {}
    for key, entry in (entries or {}).items():
        try:
            _check(str(key), entry)
        except UnplacedError as error:
            raise error.at(FILE, 1) from None
    return entries or {}


def _check(key: str, entry: Any) -> None:
    what = f"the work {key!r}"
    fields(
        entry,
        what,
        text=("title", "where", "verified"),
        optional={"authors": list, "year": int, "url": str},
    )
    if not KEY.match(key):
        raise UnplacedError(f"{what} cannot be cited", "use letters, digits, - and _", entry.line)
    authors = entry.get("authors")
    if not authors or not all(isinstance(author, str) and author for author in authors):
        remedy = "add a list `authors: [Given Family, …]`"
        raise UnplacedError(f"{what} has no authors", remedy, entry.line)
    if "year" not in entry:
        raise UnplacedError(f"{what} has no year", "add `year: …`", entry.line)


def names(authors: list[str]) -> list[str]:
    """Return names in reading order.

    Examples
    --------
    >>> names(["Rosenblatt, Frank", "Marvin Minsky"])
    ['Frank Rosenblatt', 'Marvin Minsky']
    """
    return [" ".join(reversed(name.split(", ", 1))) for name in authors]


def _families(authors: list[str]) -> list[str]:
    return [name.split(", ")[0] if ", " in name else name.split()[-1] for name in authors]


def label(entry: Entry) -> str:
    """Return how a work is named in text.

    Examples
    --------
    >>> label(Entry({"authors": ["Frank Rosenblatt"], "year": 1958}))
    'Rosenblatt, 1958'
    """
    families = _families(entry["authors"])
    if len(families) > 2:
        return f"{families[0]} et al., {entry['year']}"
    return f"{' and '.join(families)}, {entry['year']}"


def described(entry: Entry) -> str:
    """Return the full description of a work in Markdown."""
    people = names(entry["authors"])
    who = ", ".join(people[:-1]) + (" and " if people[1:] else "") + people[-1]
    text = f"{who} ({entry['year']}). *{entry['title']}*. {entry['where'].rstrip('.')}."
    return f"{text} [{_shown(entry['url'])}]({entry['url']})" if entry.get("url") else text


def _shown(url: str) -> str:
    return re.sub(r"^https?://(?:dx\.)?(?:doi\.org/)?", "doi:" if "doi.org/" in url else "", url)


def cite(work: Conversion, keys: str) -> str:
    """Return the Markdown of ``[@key]`` or ``[@key; @other]``.

    Raises
    ------
    UnplacedError
        There is no such work.
    """
    known = work.book.once(works)
    links = []
    for key in (part.strip().removeprefix("@") for part in keys.split(";")):
        if key not in known:
            raise UnplacedError(f"the work {key!r} is cited and unknown", f"add it to {FILE}")
        if key not in work.cited:
            work.cited.append(key)
        links.append(f"[{label(known[key])}]({work.page.link(f'{PAGE}#{anchor(key)}')})")
    return f"({'; '.join(links)})"


def anchor(key: str) -> str:
    """Return the id of a work in the bibliography."""
    return f"ref-{key}"


def references(block: Block) -> list[str]:
    """Return the block that lists what the page cites."""
    work = block.work

    def build(parent: Element, parser: BlockParser) -> None:
        known = work.book.once(works)
        entries = {key: known[key] for key in work.cited}
        _list(parent, parser, {key: described(entry) for key, entry in entries.items()})

    return [work.block(build)]


def bibliography(block: Block) -> list[str]:
    """Return the block that lists every work, and against which source it was verified."""
    entries = block.work.book.once(works)

    def build(parent: Element, parser: BlockParser) -> None:
        shown = {key: f"{described(e)} Verified: {e['verified']}." for key, e in entries.items()}
        _list(parent, parser, shown, ids=True)

    return [block.work.block(build)]


def _list(parent: Element, parser: BlockParser, shown: dict[str, str], ids: bool = False) -> None:
    box = SubElement(parent, "ul", {"class": "references"})
    for key, text in sorted(shown.items(), key=lambda item: item[1]):
        parser.parseChunk(SubElement(box, "li", {"id": anchor(key)} if ids else {}), text)
