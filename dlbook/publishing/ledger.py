"""The ledger: what the book promises, how much of it there is, and how much of it is unproved.

``python -m dlbook.publishing.ledger`` prints it and fails if anything is unproved; the ``ledger``
fence shows the same table on a page. All numbers are counted from the sources.
"""

from __future__ import annotations

import sys

from dlbook.publishing.book import Book
from dlbook.publishing.conversion import Block
from dlbook.publishing.count import Count
from dlbook.publishing.counts import counts

COLUMNS = ("Promise", "Counted", "Unproved", "What would fail")


def table(block: Block) -> list[str]:
    """Return the ledger as a Markdown table, and what is exempt below it."""
    found = counts(block.work.book)
    rows = [COLUMNS, ("---", "---", "---:", "---"), *map(_row, found)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    exempt = [f"- {reason}" for count in found for reason in count.exempt]
    return [*lines, "", *(["Exempt, with the reason:", "", *exempt, ""] if exempt else [])]


def _row(count: Count) -> tuple[str, ...]:
    return count.promise, count.counted, str(len(count.unproved)), count.mechanism


def main() -> int:
    """Print the ledger; return 1 if a promise is broken."""
    from rich.console import Console
    from rich.table import Table

    found = counts(Book())
    shown = Table(title="How this book is checked", show_lines=True)
    for column in COLUMNS:
        shown.add_column(column, justify="right" if column == "Unproved" else "left")
    for count in found:
        shown.add_row(*_row(count), style="bold red" if count.unproved else None)
    console = Console()
    console.print(shown)
    for count in found:
        for line in count.exempt:
            console.print(f"exempt: {line}", markup=False, soft_wrap=True)
        for line in count.unproved:
            console.print(f"UNPROVED ({count.promise}): {line}", markup=False, soft_wrap=True)
    return 1 if any(count.unproved for count in found) else 0


if __name__ == "__main__":
    sys.exit(main())
