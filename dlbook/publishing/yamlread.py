"""YAML that refuses what YAML lets pass: a key given twice, a field unknown or missing."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from dlbook.publishing.errors import BookError, Mistake


class _Strict(yaml.SafeLoader):
    """A loader in which a second value for a key is an error, not the winner."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(text: str, file: str, first: int = 1) -> Any:
    """Read YAML that begins at line ``first`` of ``file``."""
    try:
        return yaml.load(text, _Strict)  # noqa: S506 (a SafeLoader, made stricter)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        problem = f"this is not YAML that can be read ({error.problem})"
        remedy = "put text that holds a colon or a quote after `|` or between single quotes"
        raise BookError(file, first + line, problem, remedy) from None


def fields(
    entry: Any, what: str, *, text: tuple[str, ...], optional: dict[str, type] | None = None
) -> dict[str, Any]:
    """Return ``entry`` if it holds the fields ``text`` as text, and nothing but them and ``optional``.

    Raises
    ------
    Mistake
        Something is missing, unknown, empty or of another type.
    """
    optional = optional or {}
    if not isinstance(entry, dict):
        raise Mistake(f"{what} is {entry!r}", f"give it the fields {', '.join(text)}")
    for name in text:
        if name not in entry:
            raise Mistake(f"{what} has no {name}", f"add a line `{name}: …`")
        if not isinstance(entry[name], str) or not entry[name].strip():
            raise Mistake(
                f"the {name} of {what} is {entry[name]!r}, not text",
                "write it out; put a number or a word such as yes between quotes",
            )
    for name, value in entry.items():
        if name in text:
            continue
        if name not in optional:
            known = ", ".join([*text, *optional])
            raise Mistake(f"{what} has an unknown field {name!r}", f"the fields are {known}")
        if not isinstance(value, optional[name]):
            kind = optional[name].__name__
            raise Mistake(f"the {name} of {what} is {value!r}", f"give a {kind}")
    return entry
