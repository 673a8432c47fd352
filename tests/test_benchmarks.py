from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import wall
from tests.benchmarks.recording import RESULTS, machine, record
from tests.benchmarks.speed import CONTENDERS, Cell, by_hand, in_line, measure, missed
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


GOOD_RATIOS = {
    "pytorch": 0.9,
    "sklearn": 0.8,
    "inline": 1.1,
    "products": 1.2,
    "products_to_pytorch": 0.7,
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, ""),
        ({"sklearn": 1.0}, "1.00 times scikit-learn's time, not less than 1"),
        ({"pytorch": 1.01}, "1.01 times PyTorch's time, more than 1.0"),
        ({"pytorch": 1.01, "products_to_pytorch": 0.8}, ""),
        (
            {"pytorch": 1.04, "products_to_pytorch": 0.9},
            "1.04 times PyTorch's time, more than 1.03",
        ),
        ({"inline": 1.31}, "1.31 times the in-line loop, more than 1.3"),
        ({"inline": 1.2}, "1.20 times the in-line loop in the median, more than 1.15"),
        ({"products": 1.31}, "1.31 times the bare products, more than 1.3"),
    ],
)
def test_a_promise_on_speed_that_is_not_kept_is_named(change: Any, complaint: str) -> None:
    found = missed({"784-512-256-10, 256, sgd": {"ratios": GOOD_RATIOS | change}})
    assert any(complaint in miss for miss in found) == bool(complaint)
    assert bool(found) == bool(complaint)


def test_bare_products_are_a_measure_for_large_networks_and_batches_only() -> None:
    ratios = {"ratios": GOOD_RATIOS | {"products": 9.0}}
    assert missed({"784-512-256-10, 32, sgd": ratios, "64-64-10, 256, sgd": ratios}) == []


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_loop_written_in_line_computes_what_fit_computes(optimizer: str) -> None:
    cell = Cell((3, 5, 4, 2), 8, optimizer)
    X, y = cell.data(steps=6)
    history, written_out = by_hand(cell, X, y), in_line(cell, X, y)
    for _ in range(3):
        row = history().epochs[0]
        assert (row["train_loss"], row["train_accuracy"]) == pytest.approx(written_out(), rel=1e-5)


def test_a_measured_cell_has_each_contender_and_ratio() -> None:
    cell = measure(Cell((2, 3, 2), 4, "sgd"), rounds=1, seconds=1e-4)
    assert set(cell["microseconds"]) == set(CONTENDERS)
    assert set(cell["ratios"]) == set(GOOD_RATIOS)
    assert min(cell["ratios"].values()) > 0


def test_speed_was_recorded_with_what_it_missed() -> None:
    recorded = json.loads((RESULTS / "speed.json").read_text(encoding="utf-8"))["values"]
    assert len(recorded["cells"]) == 4 * 3 * 2
    assert recorded["missed"] == missed(recorded["cells"])


def test_wall_times_were_recorded_with_what_they_missed() -> None:
    recorded = json.loads((RESULTS / "wall.json").read_text(encoding="utf-8"))["values"]
    assert set(recorded["convolution"]) == set(wall.CONVOLUTIONS)
    assert recorded["missed"] == wall.missed(recorded["imports"]["ratios"])
    assert set(recorded["digits"]) >= set(wall.LEARNERS)


def test_an_import_that_costs_too_much_is_named() -> None:
    assert wall.missed({"dlbook": 1.1, "scratch": 1.3}) == []
    (complaint,) = wall.missed({"dlbook": 1.0, "scratch": 1.31})
    assert complaint == "importing dlbook.scratch: 1.31 times NumPy's time, more than 1.3"


def test_a_measured_convolution_has_its_ratio_and_the_shares_of_its_parts() -> None:
    cell = wall.convolution(2, 1, 2, 4, rounds=1)
    assert set(cell) == {"milliseconds", "ratio", "copy", "products", "fold"}


def test_digits_count_the_splits_on_which_a_contender_got_there() -> None:
    found = wall.digits(seeds=range(1), wanted=0.5)
    assert [found[name]["reached"] for name in wall.LEARNERS] == [1, 1, 1]
    assert min(found["ratios"].values()) > 0
