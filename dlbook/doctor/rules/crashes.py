"""Rules about exceptions that ended a loop: each known kind, and one for all others."""

from __future__ import annotations

from dlbook.doctor.rules import (
    crashes_of_data,
    crashes_of_graph,
    crashes_of_loss,
    crashes_of_module,
    crashes_of_optimizer,
    crashes_of_shape,
    crashes_of_type,
)
from dlbook.doctor.rules.crash import Crash, explains
from dlbook.doctor.rules.rule import Sign

__all__ = [
    "crash",
    "crashes_of_data",
    "crashes_of_graph",
    "crashes_of_loss",
    "crashes_of_module",
    "crashes_of_optimizer",
    "crashes_of_shape",
    "crashes_of_type",
]


@explains(
    r"",
    title="the program stopped with an exception",
    fix="read the line named, and the values of its variables there",
    after=("no-step-taken",),
)
def crash(crash: Crash) -> Sign | None:
    """Find a program that an exception ended, of a kind that no other rule knows.

    The exception says what could not be done; the line is where.
    """
    return Sign(crash.source)
