"""Times of contenders that take turns, and ratios within a turn.

Whatever else the machine does meets all contenders of a round, so a ratio is taken within it, and
the median over the rounds is what counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any


def in_turn(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return seconds by contender, one for each round; a round before them warms up."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in turn(list(contenders), number):
            seconds = clock(contenders[name])
            if number:
                times[name].append(seconds)
    return times


def turn(names: list[str], number: int) -> list[str]:
    """Let another contender begin in each round."""
    first = number % len(names)
    return names[first:] + names[:first]


def clock(work: Callable[[], Any]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def ratio(ours: list[float], theirs: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3)
