"""Holds the shapes that a docstring states against real arrays.

``hold_shapes`` takes a function, the arguments of one call and its result. A letter in "of shape
(n, d_in)" stands for one length, the same in all arguments and results of the call; an argument
that is a whole number stands for itself, as ``k`` in ``one_hot(y, k)``. ``...`` in first place
stands for the same axes throughout the call, in last place for any.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import griffe
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
STATED = re.compile(r"of shape (\([^)]*\))")
FIELD = re.compile(r"``(\w+)``[^`]*?of shape (\([^)]*\))")
THE_RESULT = "the result"
LENGTH = re.compile(r"(?P<symbol>[a-z]\w*)(?: (?P<sign>[+-]) (?P<shift>\d+))?")
Lengths = dict[str, int | tuple[int, ...]]


class ShapeError(AssertionError):
    """A docstring states a shape that an array does not have, or states none."""


def hold_shapes(function: Callable[..., Any], arguments: dict[str, Any], result: Any) -> list[str]:
    """Hold every shape that the docstring states; return the names of what was held."""
    doc = Stated(function)
    lengths: Lengths = {k: v for k, v in arguments.items() if type(v) is int}
    held = []
    for name, value in arguments.items():
        if isinstance(value, np.ndarray):
            doc.hold("parameters", name, value, doc.shape("parameters", name), lengths)
            held.append(name)
        elif name == "self":
            held += _hold_attributes(value)
    items = doc.section("returns")
    if result is not None and not items:
        raise ShapeError(
            f"{doc.where('', '')}: {doc.name} needs a section Returns in its docstring"
        )
    for item, value in zip(items, result if len(items) > 1 else (result,), strict=bool(items)):
        name = item.name or THE_RESULT
        if isinstance(value, Iterator):  # every item but the last, which may be smaller
            value = next(value)
        if isinstance(value, np.ndarray):
            doc.hold("returns", name, value, STATED.search(str(item.annotation)), lengths)
            held.append(name)
        else:
            held += _hold_fields(doc, item.description, value, lengths)
    return held


class Stated:
    """What the docstring of a function or class states."""

    def __init__(self, documented: Any) -> None:
        self.documented = documented
        text = inspect.getdoc(documented) or ""
        parsed = griffe.Docstring(text).parse("numpy", warnings=False)
        self.sections = {part.kind.value: part.value for part in parsed}

    def section(self, kind: str) -> list[Any]:
        """Return the items of a section, none if it is not there."""
        return list(self.sections.get(kind, []))

    def shape(self, kind: str, name: str) -> re.Match[str] | None:
        """Find the shape stated for a name in a section."""
        for item in self.section(kind):
            if item.name.lstrip("*") == name:
                return STATED.search(str(item.annotation))
        return None

    def hold(
        self,
        kind: str,
        name: str,
        array: np.ndarray,
        stated: re.Match[str] | None,
        lengths: Lengths,
    ) -> None:
        """Compare an array's shape with the one stated, and learn from it what letters mean."""
        where = f"{self.where(kind, name)}: {self.name}"
        if stated is None:
            raise ShapeError(
                f"{where} states no shape for {name}, an array of shape {array.shape}. "
                f"Write `ndarray of shape (…)` in its docstring."
            )
        shape = stated[stated.lastindex or 0]
        known = dict(lengths)
        if not fits(shape, array.shape, lengths):
            letters = [s for s in re.findall(r"[a-z]\w*|\.\.\.", shape) if s in known]
            given = ", ".join(f"{symbol} = {known[symbol]}" for symbol in letters)
            raise ShapeError(
                f"{where} states that {name} has shape {shape}"
                + (f" with {given}" if given else "")
                + f", but the array has shape {array.shape}. Mend the docstring, or the code if "
                "the docstring says what was meant."
            )

    @property
    def name(self) -> str:
        return str(self.documented.__qualname__)

    def where(self, kind: str, name: str) -> str:
        """Return file:line of what the docstring says of a name in one of its sections."""
        sought = "of shape" if name == THE_RESULT else rf"(?<!\w){re.escape(name)}(?!\w)"
        lines, _ = inspect.getsourcelines(inspect.unwrap(self.documented))
        section = ""
        for i, line in enumerate(lines):
            if i and set(line.strip()) == {"-"}:
                section = lines[i - 1].strip().lower()
            if section == kind and re.search(sought, line):
                return location(self.documented, i)
        return location(self.documented)


def location(documented: Any, below: int = 0) -> str:
    """Return file:line of a function or class, or of a line below its first."""
    source = inspect.unwrap(documented)
    file = Path(inspect.getsourcefile(source) or "").resolve()
    line = max(inspect.getsourcelines(source)[1], 1) + below
    return f"{file.relative_to(ROOT).as_posix()}:{line}"


def fits(stated: str, shape: tuple[int, ...], lengths: Lengths) -> bool:
    """Tell whether a shape is the one stated; note in ``lengths`` what each letter must mean."""
    wanted = [length.strip() for length in stated.strip("()").split(",") if length.strip()]
    if "..." in wanted:
        rest = len(shape) - (len(wanted) - 1)
        if rest < 0:
            return False
        at = wanted.index("...")
        middle = shape[at : at + rest]
        if at == 0 and lengths.setdefault("...", middle) != middle:
            return False
        wanted.remove("...")
        shape = shape[:at] + shape[at + rest :]
    return len(wanted) == len(shape) and all(
        _fits_length(length, m, lengths) for length, m in zip(wanted, shape, strict=True)
    )


def _fits_length(stated: str, m: int, lengths: Lengths) -> bool:
    if stated.isdecimal():
        return int(stated) == m
    read = LENGTH.fullmatch(stated)
    if read is None:
        raise ShapeError(f"cannot read the length {stated!r}: write n, 3, n + 1 or ...")
    shift = int(read["shift"] or 0) * (-1 if read["sign"] == "-" else 1)
    return lengths.setdefault(read["symbol"], m - shift) == m - shift


def _hold_fields(doc: Stated, description: str, value: Any, lengths: Lengths) -> list[str]:
    """Hold "``X`` is an ndarray of shape (n, 64)" against the fields of a result, and of theirs."""
    held = _hold_attributes(value)
    for name, field in _fields(value).items():
        if isinstance(field, np.ndarray):
            for stated in FIELD.finditer(description):
                if stated[1] == name:
                    doc.hold("returns", name, field, stated, lengths)
                    held.append(name)
        else:  # each part has its own n
            held += _hold_fields(doc, description, field, dict(lengths))
    return held


def _hold_attributes(instance: Any) -> list[str]:
    """Hold what the class's docstring states of its attributes."""
    doc = Stated(type(instance))
    lengths: Lengths = {}
    held = []
    for item in doc.section("attributes"):
        value = getattr(instance, item.name, None)
        if isinstance(value, np.ndarray):
            stated = STATED.search(str(item.annotation))
            doc.hold("attributes", item.name, value, stated, lengths)
            held.append(item.name)
    return held


def _fields(value: Any) -> dict[str, Any]:
    if hasattr(value, "_asdict"):
        return dict(value._asdict())
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {}
