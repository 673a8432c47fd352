"""The rules by which the doctor judges: one fault, one function."""

from __future__ import annotations

from collections.abc import Iterator

from dlbook.doctor.findings import Finding
from dlbook.doctor.record import Record
from dlbook.doctor.rules import crashes, loop, losses, protocol, schedules
from dlbook.doctor.rules.crash import CRASHES
from dlbook.doctor.rules.rule import RULES, Rule

__all__ = ["RULES", "Rule", "crashes", "diagnose", "loop", "losses", "protocol", "schedules"]


def diagnose(record: Record) -> Iterator[Finding]:
    """Apply every rule to what was seen.

    Parameters
    ----------
    record : Record
        What was seen.

    Yields
    ------
    Finding
        At most one from each rule, and of those about an exception only the first.
    """
    explained = (rule.apply(record) for rule in CRASHES.values())
    first = next((finding for finding in explained if finding is not None), None)
    if first is not None:
        yield first
    for code, rule in RULES.items():
        if rule is CRASHES.get(code) or (first is not None and first.code == code):
            continue
        try:
            finding = rule.apply(record)
        except Exception:
            if record.error is None:
                raise
            continue  # a device that failed cannot be read, nor a network that is half made
        if finding is not None:
            yield finding
