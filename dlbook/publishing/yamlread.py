"""YAML that refuses what YAML lets pass: a key given twice, a field unknown or missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from dlbook.publishing.errors import BookError, UnplacedError


class Entry(dict[Any, Any]):
    """A mapping that knows on which line of its file it begins."""

    line = 1


def load(text: str, file: str, first: int = 1) -> Any:
    """Read YAML that begins at line ``first`` of ``file``; mappings come as entries.

    Raises
    ------
    BookError
        It is not YAML, or gives a key twice.
    """

    class Loader(yaml.SafeLoader):
        """Made for each text, since it must know where the text begins."""

    def entry(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Entry:
        made = Entry()
        made.line = first + node.start_mark.line
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            if key in made:
                problem = f"the key {key!r} stands twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            made[key] = loader.construct_object(value_node, deep=True)
        return made

    Loader.add_constructor("tag:yaml.org,2002:map", entry)
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        problem = f"this YAML cannot be read ({error.problem})"
        remedy = "put text that holds a colon, a quote or a backslash between single quotes"
        raise BookError(file, first + line, problem, remedy) from None


def fields(
    entry: Any,
    what: str,
    *,
    text: tuple[str, ...],
    optional: Mapping[str, type] | None = None,
) -> Entry:
    """Return ``entry`` if it holds all fields of ``text`` as text and, besides, only ``optional``.

    Raises
    ------
    UnplacedError
        Something is missing, unknown, empty or of another type.
    """
    optional = optional or {}
    if not isinstance(entry, Entry):
        raise UnplacedError(f"{what} is {entry!r}", f"give it the fields {', '.join(text)}")
    for name in text:
        if name not in entry:
            raise UnplacedError(f"{what} has no {name}", f"add `{name}: …`", entry.line)
        if not isinstance(entry[name], str) or not entry[name].strip():
            problem = f"the {name} of {what} is {entry[name]!r}, which is no text"
            remedy = "write it out; a number or a word such as yes goes between quotes"
            raise UnplacedError(problem, remedy, entry.line)
    for name in entry.keys() - set(text):
        if name not in optional:
            known = ", ".join([*text, *optional])
            problem = f"{what} has an unknown field {name!r}"
            raise UnplacedError(problem, f"the fields are {known}", entry.line)
        if not isinstance(entry[name], optional[name]):
            problem = f"the {name} of {what} is {entry[name]!r}"
            remedy = f"give a value of type {optional[name].__name__}"
            raise UnplacedError(problem, remedy, entry.line)
    return entry


def shortened(text: str) -> str:
    """Return the beginning of a text on one line, to name it in a message."""
    words = " ".join(text.split())
    return f"“{words}”" if len(words) <= 50 else f"“{words[:49]}…”"
