"""Programs that look like faults and are none: they work, and the doctor is silent."""

from __future__ import annotations

import pytest

from dlbook.pitfalls import healthy_names, load_healthy
from tests.watched import watched


@pytest.mark.parametrize("name", healthy_names())
def test_a_program_that_only_looks_suspicious_works_and_gets_no_warning(name: str) -> None:
    outcome, report = watched("healthy", name)
    assert not outcome.error
    assert not outcome.warnings
    assert load_healthy(name).fine(outcome), outcome
    assert not report, str(report)
    assert "could not be judged" not in report.seen
