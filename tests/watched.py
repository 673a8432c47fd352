"""Each program of ``dlbook.pitfalls``, run once for all tests, with the doctor watching.

A watched run ends with the bits of one that is not (``tests/test_doctor.py`` proves it), so that
what shows and what the doctor says come from the same run.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

from dlbook.doctor import Report
from dlbook.doctor.discovery import watch_everything
from dlbook.pitfalls import Outcome, load_healthy, load_pitfall, run

SEED = 0
Part = Literal["broken", "mended", "healthy"]


class Watched(NamedTuple):
    """What happened, and what the doctor said of it."""

    outcome: Outcome
    report: Report


@cache
def watched(part: Part, name: str, seed: int = SEED) -> Watched:
    """Run one program of a pitfall, or a healthy one."""
    program = load_healthy(name).program if part == "healthy" else getattr(load_pitfall(name), part)
    watcher = watch_everything()

    def seen(seed: int) -> dict[str, float]:
        with watcher:  # within the run, so that what the program raises reaches the watcher
            measured: dict[str, float] = program(seed)
        return measured

    outcome = run(seen, seed)
    return Watched(outcome, watcher.report())
