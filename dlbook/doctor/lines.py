"""Where in the reader's code something happened."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

import torch

__all__ = ["AtWork", "codes_of_reader", "line_of_reader"]

DEEPEST = 4  # functions of the reader's within each other that are told
FOREIGN = (str(Path(__file__).parent), str(Path(torch.__file__).parent), contextlib.__file__, "<")


def line_of_reader() -> str:
    """Return file and line of the innermost frame that is neither PyTorch's nor the doctor's.

    Returns
    -------
    str
        As ``"train.py:12"``; empty where there is none.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not (name := _readers(frame.f_code.co_filename)):
        frame = frame.f_back
    return "" if frame is None else f"{name}:{frame.f_lineno}"


@cache
def _readers(path: str) -> str:
    """Return a file's name if it is the reader's."""
    return "" if path.startswith(FOREIGN) else Path(path).name


class AtWork(NamedTuple):
    """A function of the reader's that is at work: its line, and its names that hold iterators."""

    line: int
    iterators: frozenset[str]


def codes_of_reader() -> dict[CodeType, AtWork]:
    """Return the reader's functions that are at work.

    Returns
    -------
    dict of code to AtWork
        The innermost few, PyTorch's and the doctor's left out.
    """
    frame: FrameType | None = sys._getframe(1)
    found: dict[CodeType, AtWork] = {}
    while frame is not None and len(found) < DEEPEST:
        if not frame.f_code.co_filename.startswith(FOREIGN):
            held = frozenset(k for k, v in frame.f_locals.items() if isinstance(v, Iterator))
            found.setdefault(frame.f_code, AtWork(frame.f_lineno, held))
        frame = frame.f_back
    return found
