"""What is proved, counted."""

from __future__ import annotations

from dlbook.publishing.conversion import Block


def table(block: Block) -> list[str]:
    """Return the table (not there yet)."""
    return []
