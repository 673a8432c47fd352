"""What is proved, counted."""

from __future__ import annotations
from dlbook.publishing.book import Book


def markdown(book: Book) -> list[str]:
    """Return the table (not there yet)."""
    return []
