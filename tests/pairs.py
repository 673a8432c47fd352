"""What every pitfall must keep: each is asked in one of the files ``test_pitfalls_*.py``.

The files share nothing but this, so that the suite can run them in different processes; within one
each program is run once.
"""

from __future__ import annotations

from dlbook.doctor.rules import RULES
from dlbook.pitfalls import Kind, load_pitfall, pitfall_names
from tests.watched import watched

__all__ = ["check_broken", "check_mended", "of_kinds"]

UNSEEN = {  # what leaves no trace in anything that a network computes; the rest must have a rule
    "augmentation-changes-the-label",
    "chosen-by-training-loss",
    "columns-chosen-before-the-split",
    "groups-split-apart",
    "score-of-the-chosen",
    "stopping-on-training-loss",
}
LINES = 6  # a cure takes away or adds no more lines than this


def of_kinds(*kinds: Kind) -> list[str]:
    """List the pitfalls of these kinds."""
    return [name for name in pitfall_names() if load_pitfall(name).kind in kinds]


def check_broken(name: str) -> None:
    """See the symptom, and the cause named first where it can be seen."""
    pitfall = load_pitfall(name)
    outcome, report = watched("broken", name)
    assert pitfall.shows(outcome), outcome
    assert "could not be judged" not in report.seen
    assert (pitfall.finding in RULES) is (pitfall.finding not in UNSEEN)
    if pitfall.finding in RULES:
        assert [finding.code for finding in report.findings][:1] == [pitfall.finding]


def check_mended(name: str) -> None:
    """See neither symptom nor alarm after a change of a few lines."""
    pitfall = load_pitfall(name)
    outcome, report = watched("mended", name)
    assert not pitfall.shows(outcome), outcome
    assert not outcome.error
    assert not outcome.warnings
    assert not report, str(report)
    assert "could not be judged" not in report.seen
    changed = [line for line in pitfall.diff.splitlines() if line[0] in "+-"]
    assert 1 <= len(changed) <= LINES
