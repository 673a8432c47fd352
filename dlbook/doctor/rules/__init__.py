"""The rules by which the doctor judges: one fault, one function."""

from __future__ import annotations

from collections.abc import Iterator

from dlbook.doctor.findings import Finding
from dlbook.doctor.record import Record
from dlbook.doctor.rules import losses, protocol
from dlbook.doctor.rules.rule import RULES, Rule

__all__ = ["RULES", "Rule", "diagnose", "losses", "protocol"]


def diagnose(record: Record) -> Iterator[Finding]:
    """Apply every rule to what was seen.

    Parameters
    ----------
    record : Record
        What was seen.

    Yields
    ------
    Finding
        At most one from each rule.
    """
    for rule in RULES.values():
        finding = rule.apply(record)
        if finding is not None:
            yield finding
