"""The rules by which the doctor judges: one fault, one function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dlbook.doctor.findings import Finding
from dlbook.doctor.record import Record
from dlbook.doctor.rules import (
    axes,
    classes,
    counting,
    crashes,
    cuts,
    data,
    fit,
    freezing,
    gradients,
    items,
    loop,
    losses,
    modes,
    objectives,
    outputs,
    padding,
    protocol,
    rates,
    scaling,
    schedules,
    sequences,
    severed,
    sharing,
    steps,
    structure,
    targets,
    units,
    validation,
)
from dlbook.doctor.rules.crash import AFTER, CRASHES
from dlbook.doctor.rules.rule import RULES, Rule

__all__ = [
    "RULES",
    "Rule",
    "axes",
    "classes",
    "counting",
    "crashes",
    "cuts",
    "data",
    "diagnose",
    "fit",
    "freezing",
    "gradients",
    "items",
    "loop",
    "losses",
    "modes",
    "objectives",
    "outputs",
    "padding",
    "protocol",
    "rates",
    "scaling",
    "schedules",
    "sequences",
    "severed",
    "sharing",
    "steps",
    "structure",
    "targets",
    "units",
    "validation",
]

# Told by trials that win in many faults of other kinds too: a lower or a higher rate helps where
# inputs are unscaled, gradients fade or the loss is summed, and more units nearly everywhere. They
# are asked last, the more specific first, and only until something is found. What can only be
# learned by heart is faster learned with a higher rate, so this is asked before the rates are.
LAST = (
    "labels-unrelated-to-inputs",
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
    told = first is not None and not AFTER[first.code]
    record.trouble.clear()
    for code, rule in sorted(RULES.items(), key=_turn):
        if code in LAST and told:
            continue
        if rule is CRASHES.get(code) or (first is not None and first.code == code):
            continue
        try:
            finding = rule.apply(record)
        except Exception as error:  # what one rule cannot read must not cost the others
            record.trouble.append(f"{code} could not be judged: {type(error).__name__}: {error}")
            continue
        if finding is not None:
            told = told or finding.severity != "note"
            yield _above(finding, first)


def _above(finding: Finding, crash: Finding | None) -> Finding:
    """Fold what ended the program under a finding that it follows from."""
    if crash is None or finding.code not in AFTER[crash.code]:
        return finding
    return replace(finding, causes=(*finding.causes, crash.code))


def _turn(item: tuple[str, Rule]) -> int:
    """Return when a rule is asked: in the order of definition, those of ``LAST`` after all."""
    return LAST.index(item[0]) + 1 if item[0] in LAST else 0
