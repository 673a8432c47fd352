"""Cited works: ``[@key]`` in text, the works a page cites, and the bibliography."""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser

from dlbook.publishing.book import Book
from dlbook.publishing.conversion import Conversion
from dlbook.publishing.errors import Mistake
from dlbook.publishing.yamlread import fields, load

FILE, PAGE = "book/references.yml", "bibliography.md"
KEY = re.compile(r"^[A-Za-z][\w-]*$")


def works(book: Book) -> dict[str, dict[str, Any]]:
    """Return all works that can be cited, by key.

    Raises
    ------
    BookError
        A work lacks one of its fields.
    """
    path = book.path(FILE)
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    entries: dict[str, Any] = load(text, FILE) or {}
    for key, entry in entries.items():
        try:
            _check(key, entry)
        except Mistake as mistake:
            raise mistake.at(FILE, line_of(text, key)) from None
    return entries


def line_of(text: str, key: str) -> int:
    """Return the line of a top-level YAML key."""
    found = re.search(rf"^['\"]?{re.escape(str(key))}['\"]?:", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _check(key: str, entry: Any) -> None:
    if not KEY.match(str(key)):
        raise Mistake(f"the key {key!r} cannot be cited", "use letters, digits, - and _")
    fields(
        entry,
        f"the work {key!r}",
        text=("title", "where", "verified"),
        optional={"authors": list, "year": int, "url": str},
    )
    authors = entry.get("authors")
    if not authors or not all(isinstance(author, str) and author for author in authors):
        raise Mistake(f"the work {key!r} has no authors", "add a list `authors: [Given Family, …]`")
    if "year" not in entry:
        raise Mistake(f"the work {key!r} has no year", "add a line `year: …`")


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


def label(entry: dict[str, Any]) -> str:
    """Return how a work is named in text.

    Examples
    --------
    >>> label({"authors": ["Frank Rosenblatt"], "year": 1958})
    'Rosenblatt, 1958'
    """
    families = _families(entry["authors"])
    if len(families) > 2:
        return f"{families[0]} et al., {entry['year']}"
    return f"{' and '.join(families)}, {entry['year']}"


def described(entry: dict[str, Any]) -> str:
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
    Mistake
        There is no such work.
    """
    known = works(work.book)
    links = []
    for key in (part.strip().removeprefix("@") for part in keys.split(";")):
        if key not in known:
            raise Mistake(f"the work {key!r} is cited and unknown", f"add it to {FILE}")
        if key not in work.cited:
            work.cited.append(key)
        links.append(f"[{label(known[key])}]({work.page.link(f'{PAGE}#{anchor(key)}')})")
    return f"({'; '.join(links)})"


def anchor(key: str) -> str:
    """Return the id of a work in the bibliography."""
    return f"ref-{key}"


def references(work: Conversion) -> str:
    """Return the block that lists what the page cites."""

    def build(parent: Element, parser: BlockParser) -> None:
        known = works(work.book)
        _list(parent, parser, {key: known[key] for key in work.cited}, ids=False)

    return work.block(build)


def bibliography(work: Conversion) -> str:
    """Return the block that lists every work, with ids to link to."""

    def build(parent: Element, parser: BlockParser) -> None:
        _list(parent, parser, works(work.book), ids=True)

    return work.block(build)


def _list(
    parent: Element, parser: BlockParser, entries: dict[str, dict[str, Any]], ids: bool
) -> None:
    box = SubElement(parent, "ul", {"class": "references"})
    for key, entry in sorted(entries.items(), key=lambda item: (label(item[1]), item[0])):
        item = SubElement(box, "li", {"id": anchor(key)} if ids else {})
        parser.parseChunk(item, described(entry))
