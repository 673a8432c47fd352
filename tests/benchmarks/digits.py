"""Digits with the command line's defaults: both backends and scikit-learn, on the same splits."""

from __future__ import annotations

import statistics
import warnings
from dataclasses import asdict, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from dlbook import runs
from dlbook.history import History
from dlbook.metrics import accuracy, predicted_classes
from dlbook.tasks import TASKS, Backend, Options, PyTorchOptions
from tests.benchmarks.recording import record

COMMAND = "python3 run.py bench"
SEEDS = range(5)
CONTENDERS = ("numpy", "pytorch", "sklearn")


def compare() -> dict[str, Any]:
    """Train on five splits with one thread; return test accuracies and training times in seconds.

    The times of the two backends include measuring the validation part after each epoch;
    scikit-learn measures nothing.
    """
    options = TASKS["digits"].options()
    trials: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for seed in track(SEEDS, "five splits", console=Console(stderr=True)):
            seeded = replace(options, seed=seed)
            trials["numpy"].append(_ours("numpy", seeded))
            trials["pytorch"].append(_ours("pytorch", seeded))
            trials["sklearn"].append(_scikit_learn(seeded))
    values = {name: _summary(trials[name]) for name in CONTENDERS}
    times = {name: values[name]["seconds"]["median"] for name in CONTENDERS}
    return {
        "options": {**asdict(options), "hidden": list(options.hidden), "seed": list(SEEDS)},
        **values,
        "ratios": {
            "pytorch_to_numpy": round(times["pytorch"] / times["numpy"], 2),
            "sklearn_to_numpy": round(times["sklearn"] / times["numpy"], 2),
        },
    }


def _ours(backend: Backend, options: Options) -> tuple[float, float]:
    pytorch = PyTorchOptions(device="cpu")
    run = runs.train("digits", backend, options, History(), pytorch=pytorch, progress=False)
    X, y = run.data.test
    return accuracy(predicted_classes(run.predict(X)), y), sum(run.history["seconds"])


def _scikit_learn(options: Options) -> tuple[float, float]:
    """Train scikit-learn's network with the same widths, batch, epochs, rate and optimizer."""
    data = TASKS["digits"].load(np.random.default_rng(options.seed))
    classifier = MLPClassifier(
        options.hidden,
        solver=options.optimizer,
        batch_size=options.batch_size,
        learning_rate_init=options.lr,
        max_iter=options.epochs,
        n_iter_no_change=options.epochs,
        random_state=options.seed,
    )
    start = perf_counter()
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        classifier.fit(*data.train)
    return float(classifier.score(*data.test)), perf_counter() - start


def _summary(trials: list[tuple[float, float]]) -> dict[str, Any]:
    right, seconds = ([round(value, 4) for value in column] for column in zip(*trials, strict=True))
    return {
        "test_accuracy": {"mean": round(statistics.mean(right), 4), "seeds": right},
        "seconds": {
            "median": round(statistics.median(seconds), 2),
            "max": round(max(seconds), 2),
            "seeds": [round(value, 2) for value in seconds],
        },
    }


def show(values: dict[str, Any]) -> None:
    """Print the comparison as a table."""
    table = Table("digits", "mean", "each seed", "median s", "longest s", title="test accuracy")
    for name in CONTENDERS:
        right, seconds = values[name]["test_accuracy"], values[name]["seconds"]
        each = " ".join(f"{value:.1%}" for value in right["seeds"])
        times = (f"{seconds['median']:.2f}", f"{seconds['max']:.2f}")
        table.add_row(name, f"{right['mean']:.2%}", each, *times)
    Console().print(table)


def main() -> None:
    """Measure, show and record."""
    values = compare()
    show(values)
    record("digits", COMMAND, values)


if __name__ == "__main__":
    main()
