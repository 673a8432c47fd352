from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.recording import RESULTS, machine, record
from tests.benchmarks.thorough import broken_promises


@pytest.fixture
def values() -> Any:
    good = {"test_accuracy": {"mean": 0.978}, "seconds": {"max": 3.0}}
    return {name: copy.deepcopy(good) for name in ("numpy", "pytorch", "sklearn")}


def test_a_recording_says_how_where_and_when(tmp_path: Path) -> None:
    path = record("speed", "python3 run.py bench", {"a": {"b": 0.5}}, folder=tmp_path / "new")
    content = json.loads(path.read_text())
    assert list(content) == ["command", "date", "machine", "versions", "values"]
    assert content["values"] == {"a": {"b": 0.5}}
    assert content["machine"] == machine()
    assert set(content["versions"]) == {"python", "numpy", "torch", "scikit-learn"}


def test_promises_that_hold_are_not_called_broken(values: Any) -> None:
    assert broken_promises(values) == []


@pytest.mark.parametrize(
    ("measure", "key", "value", "complaint"),
    [
        ("test_accuracy", "mean", 0.9699, "96.99% of the test images right, not 97%"),
        ("test_accuracy", "mean", 0.9729, "97.29% right, more than half a point"),
        ("test_accuracy", "mean", 0.9831, "98.31% right, more than half a point"),
        ("seconds", "max", 20.5, "a run took 20 s, more than 20 s"),
    ],
)
@pytest.mark.parametrize("backend", ["numpy", "pytorch"])
def test_a_broken_promise_is_named(
    backend: str, measure: str, key: str, value: float, complaint: str, values: Any
) -> None:
    values[backend][measure][key] = value
    assert any(f"{backend}: {complaint}" in broken for broken in broken_promises(values))


def test_what_the_book_states_of_digits_was_recorded_and_keeps_its_promise() -> None:
    recorded = json.loads((RESULTS / "digits.json").read_text(encoding="utf-8"))
    assert broken_promises(recorded["values"]) == []
