"""The rules by which the doctor judges: one fault, one function."""

from __future__ import annotations

from collections.abc import Iterator

from dlbook.doctor.findings import Finding
from dlbook.doctor.record import Record
from dlbook.doctor.rules import (
    classes,
    crashes,
    cuts,
    data,
    fit,
    gradients,
    loop,
    losses,
    objectives,
    outputs,
    padding,
    protocol,
    rates,
    scaling,
    schedules,
    steps,
    targets,
    units,
)
from dlbook.doctor.rules.crash import CRASHES
from dlbook.doctor.rules.rule import RULES, Rule

__all__ = [
    "RULES",
    "Rule",
    "classes",
    "crashes",
    "cuts",
    "data",
    "diagnose",
    "fit",
    "gradients",
    "loop",
    "losses",
    "objectives",
    "outputs",
    "padding",
    "protocol",
    "rates",
    "scaling",
    "schedules",
    "steps",
    "targets",
    "units",
]

# Told by trials that win in many faults of other kinds too: a lower or a higher rate helps where
# inputs are unscaled, gradients fade or the loss is summed, and more units nearly everywhere. They
# are asked last, the more specific first, and only until something is found.
LAST = (
    *("nan-gradient", "decay-out-of-scale", "clipping-out-of-scale", "eps-too-large"),
    *("dropout-too-strong", "vanishing-gradients", "weights-too-large", "exploding-gradients"),
    *("rate-too-high", "stopped-while-falling", "rate-too-low", "too-little-capacity"),
    *("overfitting", "loss-not-finite"),
)


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
    told = first is not None
    for code, rule in sorted(RULES.items(), key=_turn):
        if code in LAST and told:
            continue
        if rule is CRASHES.get(code) or (first is not None and first.code == code):
            continue
        try:
            finding = rule.apply(record)
        except Exception:
            if record.error is None:
                raise
            continue  # a device that failed cannot be read, nor a network that is half made
        if finding is not None:
            told = told or finding.severity != "note"
            yield finding


def _turn(item: tuple[str, Rule]) -> int:
    """Return when a rule is asked: in the order of definition, those of ``LAST`` after all."""
    return LAST.index(item[0]) + 1 if item[0] in LAST else 0
