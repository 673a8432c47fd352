"""What a count of the ledger is."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from types import ModuleType

from dlbook.publishing.book import Book


@dataclass(frozen=True)
class Count:
    """A promise, what there is of it, and what of it nothing proves."""

    promise: str
    counted: str
    unproved: tuple[str, ...]
    mechanism: str
    exempt: tuple[str, ...] = ()


def number(count: int, noun: str) -> str:
    """Say a number with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def module_of(book: Book, place: str) -> ModuleType | None:
    """Load a module of the tests, which no installed package holds."""
    spec = importlib.util.spec_from_file_location("dlbook_testsmodule_of", book.path(place))
    if spec is None or spec.loader is None or not book.path(place).is_file():
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
