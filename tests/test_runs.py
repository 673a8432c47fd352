from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dlbook import runs
from dlbook.history import History
from dlbook.metrics import accuracy, predicted_classes
from dlbook.tasks import TASKS, Backend, PyTorchOptions, TaskName
from tests.on_device import DEVICE

BACKENDS = get_args(Backend)


def train(task: TaskName, backend: Backend, **asked: Any) -> runs.Run:
    options = TASKS[task].options(**asked)
    pytorch = PyTorchOptions(device=DEVICE)
    return runs.train(task, backend, options, History(), pytorch=pytorch, progress=False)


def test_every_task_that_can_be_named_is_there() -> None:
    assert set(TASKS) == set(get_args(TaskName))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_delivery_neuron_finds_the_line(backend: Backend) -> None:
    run = train("delivery", backend)
    minutes = [runs.delivery_minutes(run, miles) for miles in (0, 1, 7)]
    assert_allclose(minutes, [5.2, 8.6, 29.0], atol=1e-4)
    shown = runs.measure(run)
    assert shown["slope"] == "3.4000 minutes a mile"
    assert shown["intercept"] == "5.2000 minutes"
    assert shown["7 miles"] == "29.0 minutes"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("task", "asked", "right"),
    [
        ("digits", {"epochs": 12, "lr": 0.003}, 0.95),
        ("moons", {"epochs": 40}, 0.95),
        ("blobs", {"epochs": 20}, 0.98),
        ("blobs", {"epochs": 10, "optimizer": "sgd"}, 0.98),
    ],
)
def test_a_short_run_gets_most_of_the_test_part_right(
    task: TaskName, asked: dict[str, Any], right: float, backend: Backend
) -> None:
    run = train(task, backend, **asked)
    X, y = run.data.test
    assert accuracy(predicted_classes(run.predict(X)), y) >= right


@pytest.mark.usefixtures("same_bits")
@pytest.mark.parametrize("backend", BACKENDS)
def test_same_seed_same_numbers_another_seed_others(backend: Backend) -> None:
    first, again, other = (train("moons", backend, epochs=2, seed=seed) for seed in (1, 1, 2))
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert first.history[name] == again.history[name]
    assert first.history["train_loss"] != other.history["train_loss"]
    points = first.data.test.X
    assert np.array_equal(first.predict(points), again.predict(points))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_seed_decides_the_first_weights(backend: Backend) -> None:
    """The two deliveries leave nothing else to chance."""
    first, other = (train("delivery", backend, epochs=1, seed=seed) for seed in (1, 2))
    assert first.history["train_loss"] != other.history["train_loss"]


def test_both_backends_learn_from_the_same_split() -> None:
    by_hand, in_pytorch = (train("digits", backend, epochs=1, seed=3) for backend in BACKENDS)
    assert np.array_equal(by_hand.data.test.X, in_pytorch.data.test.X)
    assert by_hand.history.epochs[0].keys() == in_pytorch.history.epochs[0].keys()


def test_the_record_tells_how_the_run_was_made() -> None:
    settings = train("moons", "pytorch", epochs=1, seed=5, hidden=(4,)).history.settings
    assert settings == {
        "task": "moons",
        "backend": "pytorch",
        "amp": None,
        "device": DEVICE,
        "compile": False,
        "processes": 1,
        "hidden": [4],
        "epochs": 1,
        "batch_size": 32,
        "lr": 0.01,
        "optimizer": "adam",
        "seed": 5,
    }


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("task", ["moons", "digits"])
def test_a_run_that_diverges_is_kept_without_what_it_has_not_learned(
    task: TaskName, backend: Backend, tmp_path: Path
) -> None:
    run = train(task, backend, epochs=2, lr=1e30)
    runs.measure(run)
    kept = {path.name for path in runs.keep(tmp_path, run.history, run)}
    assert kept == {"history.json", "learning-curves.png", "learning-curves.svg"}
    assert np.isnan(History.load(tmp_path / "history.json")["train_loss"]).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": (8, 0)}, "hidden widths must be from 1 to 10000, got 0"),
        ({"hidden": (8, 10**9)}, "hidden widths must be from 1 to 10000, got 1000000000"),
        ({"epochs": 0}, "epochs must be 1 or more, got 0"),
        ({"batch_size": -3}, "batch-size must be 1 or more, got -3"),
        ({"lr": 0.0}, "rate, must be above 0 and finite, got 0"),
        ({"lr": float("inf")}, "got inf"),
        ({"lr": float("nan")}, "got nan"),
        ({"seed": -1}, "seed must be from 0 up"),
    ],
)
def test_an_option_out_of_range_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TASKS["moons"].options(), **change)
