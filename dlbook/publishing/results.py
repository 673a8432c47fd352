"""Recorded numbers: ``{{ file:key.path | format }}`` inserts what a run measured."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Any

from dlbook.publishing.book import Book
from dlbook.publishing.conversion import Conversion
from dlbook.publishing.errors import UnplacedError

FOLDER = "book/results"
REFERENCE = re.compile(
    r"^ *(?P<file>[\w-]+):(?P<key>[\w.-]+(?:, [\w.-]+)*) *(?:\| *(?P<format>.*?) *)?$"
)
FIELDS = ("command", "machine", "date")


@dataclass(frozen=True)
class Recording:
    """What one command measured, where and when."""

    command: str
    machine: str
    date: str
    values: dict[str, Any]


def recording(book: Book, name: str) -> Recording:
    """Return ``book/results/<name>.json``.

    Raises
    ------
    UnplacedError
        The file is missing, or does not say by which command, where and when it was made.
    """
    file = f"{FOLDER}/{name}.json"
    path = book.path(file)
    if not path.is_file():
        raise UnplacedError(
            f"nothing is recorded in {file}", "run `python3 run.py bench`, or mend the name"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UnplacedError(f"{file} is not JSON ({error})", "record it again") from None
    for key in FIELDS:
        if not isinstance(content.get(key), str) or not content[key].strip():
            raise UnplacedError(f"{file} does not hold the text {key!r}", "record it again")
    if not isinstance(content.get("values"), dict):
        raise UnplacedError(f"{file} does not hold the mapping 'values'", "record it again")
    command, machine, date = (content[key] for key in FIELDS)
    return Recording(command, machine, date, content["values"])


def value(record: Recording, key: str, file: str) -> Any:
    """Return the value at a dotted key.

    Raises
    ------
    UnplacedError
        There is no such key; the message names those there are.
    """
    found: Any = record.values
    for part in key.split("."):
        if isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, dict) and part in found:
            found = found[part]
        else:
            known = list(found) if isinstance(found, dict) else []
            raise UnplacedError(
                f"{FOLDER}/{file}.json holds no value {key!r} (nothing at {part!r})",
                f"use one of {', '.join(known)}" if known else "shorten the key",
            )
    if isinstance(found, dict | list):
        raise UnplacedError(f"{file}:{key} is not a single value", "lengthen the key")
    return found


def look_up(book: Book, text: str) -> tuple[str, Recording]:
    """Return the number that ``{{ file:key | format }}`` stands for, and its recording.

    Raises
    ------
    UnplacedError
        The number is not recorded, or cannot be written in that format.
    """
    text = text.removeprefix("{{").removesuffix("}}")
    reference = REFERENCE.match(text)
    if reference is None:
        raise UnplacedError(
            f"cannot read {{{{{text}}}}}",
            "write {{ file:key.path | format }} for a recorded number",
        )
    record = recording(book, reference["file"])
    found = value(record, reference["key"], reference["file"])
    try:
        shown = format(found, reference["format"] or "")
    except ValueError as error:
        raise UnplacedError(
            f"{found!r} cannot be written as {reference['format']!r} ({error})",
            "use a format of Python, such as .1%",
        ) from None
    return shown, record


def insert(work: Conversion, text: str) -> str:
    """Return the Markdown of ``{{ file:key | format }}``.

    Raises
    ------
    UnplacedError
        The number is not recorded, or cannot be written in that format.
    """
    shown, record = look_up(work.book, text)
    told = f"recorded by {record.command} on {record.machine}, {record.date}"
    return work.inline(
        f'<span class="result" title="{html.escape(told)}">{html.escape(shown)}</span>', shown
    )
