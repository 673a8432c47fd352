"""The benchmark of the doctor's watching compares equal work, and its promises can be missed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.benchmarks import watching


def cell(milliseconds: float, ratio: float) -> dict[str, Any]:
    ratios = {"watch": ratio, "watch_everything": 1.0}
    return {"milliseconds": {"alone": milliseconds}, "ratios": {"wall": ratios}}


@pytest.mark.parametrize("name", watching.PROGRAMS)
def test_a_program_is_measured_in_all_ways_and_by_both_clocks(name: str) -> None:
    found = watching.measure(name, rounds=1, steps=2)
    assert list(found["milliseconds"]) == ["alone", "watch", "watch_everything"]
    assert list(found["ratios"]) == ["wall", "cpu"]
    for ratios in found["ratios"].values():
        assert list(ratios) == ["watch", "watch_everything"]


def test_missed_promises_are_said_and_kept_ones_are_not() -> None:
    kept = {"a": cell(2.0, 1.05), "b": cell(2.0, 1.10), "c": cell(2.0, 1.3)}
    assert watching.missed(kept) == []
    assert watching.missed(kept | {"c": cell(2.0, 1.301)}) == [
        "watch, c: 1.301 times, more than 1.3"
    ]
    assert watching.missed(kept | {"b": cell(2.0, 1.101)}) == [
        "watch: 1.101 times in the median, more than 1.1"
    ]


def test_steps_too_short_to_count_are_left_out_and_named() -> None:
    assert watching.missed({"a": cell(0.999, 2.0), "b": cell(1.0, 1.0)}) == [
        "a: a step of 0.999 ms is too short to count"
    ]
