"""Mistakes of the field that show in whole runs, in data or in prose; and where each is tested.

As in ``tests/test_field_errors.py``, the number of its entry stands in a test's name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlbook.data import Standardizer, make_blobs, make_moons, shared_rows, split
from dlbook.scratch.evaluation import evaluate
from dlbook.scratch.layers import Linear, mlp
from dlbook.scratch.losses import binary_cross_entropy_with_logits, mse
from dlbook.scratch.optimizers import SGD, Adam, Optimizer
from dlbook.scratch.training import fit

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).name

PLACES: dict[int, str] = {
    **dict.fromkeys(range(1, 9), "test_field_errors.py"),
    9: "test_field_errors_pytorch.py",
    10: "test_field_errors.py",
    11: HERE,
    12: "test_field_errors_pytorch.py",
    13: HERE,
    14: HERE,
    15: "test_field_errors.py",
    16: HERE,
    18: HERE,
}
ELSEWHERE: dict[int, tuple[str, str]] = {
    17: (  # every output of the book is run; a wrong one is planted there
        "test_publishing_sessions.py",
        "test_wrong_output_fails_and_names_file_line_and_remedy",
    ),
}
NO_PLACE_YET: dict[int, str] = {
    19: "of graders: the exercises, which the book does not have yet, come with checks of theirs",
}


def names_in(name: str) -> list[str]:
    text = (ROOT / "tests" / name).read_text(encoding="utf-8")
    return re.findall(r"^def (test_\w+)", text, re.MULTILINE)


def test_each_of_the_nineteen_entries_has_a_test_or_the_reason_why_not() -> None:
    assert sorted([*PLACES, *ELSEWHERE, *NO_PLACE_YET]) == list(range(1, 20))
    for entry, name in PLACES.items():
        assert [test for test in names_in(name) if test.startswith(f"test_{entry:02}_")], entry
    for name, test in ELSEWHERE.values():
        assert test in names_in(name)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Temperature in °F, rainfall in mm, humidity in %; tonnes of apples and of oranges a hectare.
RECORDS = np.array(
    [
        [73.0, 67.0, 43.0, 56.0, 70.0],
        [91.0, 88.0, 64.0, 81.0, 101.0],
        [87.0, 134.0, 58.0, 119.0, 133.0],
        [102.0, 43.0, 37.0, 22.0, 37.0],
        [69.0, 96.0, 70.0, 103.0, 119.0],
    ]
)
ROWS = np.tile(RECORDS, (3, 1))  # as the tutorials have them
X, Y = ROWS[:, :3], ROWS[:, 3:]


def least_squares(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.lstsq(with_ones(rows), targets)[0])


def with_ones(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows, np.ones(len(rows))])


def squared_error(rows: np.ndarray, targets: np.ndarray, solution: np.ndarray) -> float:
    return float(((with_ones(rows) @ solution - targets) ** 2).mean())


LEAST = squared_error(X, Y, least_squares(X, Y))


def recipe(seed: int) -> tuple[Linear, list[float], float]:
    """Train as the recipe says; return the losses of all batches, and the last epoch's as told."""
    told: list[float] = []
    forward, backward = mse

    def noted(Z: Any, targets: Any) -> Any:
        loss, cache = forward(Z, targets)
        told.append(loss)
        return loss, cache

    model = Linear(3, 2, rng=rng(seed), dtype=np.float64)
    sgd = SGD(model.parameters, lr=1e-4, momentum=0.9)
    history = fit(
        model, (noted, backward), sgd, X, Y, epochs=100, batch_size=3, rng=rng(seed), progress=False
    )
    return model, told, history["train_loss"][-1]


def test_11_what_is_told_of_the_harvest_is_the_loss_of_all_examples_and_not_of_the_last_batch() -> (
    None
):
    quotients = []
    for seed in range(20):
        model, told, of_epoch = recipe(seed)
        assert of_epoch == pytest.approx(np.mean(told[-5:]), rel=1e-12)  # five batches of three
        one_by_one = [((x @ model.W + model.b - y) ** 2).mean() for x, y in zip(X, Y, strict=True)]
        whole = evaluate(model, mse, X, Y)["loss"]
        assert whole == pytest.approx(np.mean(one_by_one), rel=1e-12)
        quotients.append(told[-1] / whole)
    assert min(quotients) < 1 / 2, "the last batch alone tells of half the loss or less"
    assert max(quotients) > 2, "or of twice as much and more"


def test_11_the_recipe_ends_far_from_least_squares_and_where_the_seed_sends_it() -> None:
    ends = [evaluate(recipe(seed)[0], mse, X, Y)["loss"] for seed in range(40)]
    assert round(LEAST, 4) == 0.4831
    assert min(ends) > 1.2 * LEAST
    assert np.median(ends) > 10 * LEAST
    assert max(ends) > 100_000 * LEAST


def on_standardized_inputs(optimizer: Any, *, seed: int = 0) -> float:
    rows = Standardizer().fit(X).transform(X)
    model = Linear(3, 2, rng=rng(seed), dtype=np.float64)
    steps: Optimizer = optimizer(model.parameters)
    fit(model, mse, steps, rows, Y, epochs=500, batch_size=15, rng=rng(), progress=False)
    return evaluate(model, mse, rows, Y)["loss"]


def test_11_standardized_inputs_and_whole_batches_reach_least_squares() -> None:
    assert on_standardized_inputs(lambda w: SGD(w, lr=0.3)) == pytest.approx(LEAST, rel=1e-9)


def told_of_feedforward(text: str) -> list[str]:
    """Find sentences that deny backpropagation to feedforward networks."""
    sentences = re.split(r"(?<=[.!?])\s", " ".join(text.split()))
    return [
        s
        for s in sentences
        if re.search(r"feed-?forward", s, re.IGNORECASE)
        and re.search(r"\b(no|not|never|without|lacks?)\b[^.]*backprop", s, re.IGNORECASE)
    ]


def prose() -> list[Path]:
    return [*sorted((ROOT / "book").rglob("*.md")), *sorted((ROOT / "book").glob("*.yml"))]


def test_13_no_page_says_that_feedforward_networks_do_without_backpropagation() -> None:
    planted = "Good. A feedforward network usually has no\nbackpropagation. So it is."
    assert told_of_feedforward(planted) == ["A feedforward network usually has no backpropagation."]
    for page in prose():
        assert told_of_feedforward(page.read_text(encoding="utf-8")) == [], page.name


def test_13_a_feedforward_network_is_trained_by_its_backward_pass() -> None:
    model = mlp([2, 4, 2], rng=rng(), dtype=np.float64)
    model.forward(rng().normal(size=(3, 2)))
    model.backward(rng().normal(size=(3, 2)))
    assert all(np.any(gradient) for gradient in model.gradients)


def right_on_held_out(points: Any, widths: list[int], seed: int) -> float:
    """Train a classifier of two classes, and return its accuracy on points it has not seen."""
    rows, classes = points(400, rng=rng(seed))
    parts = split(rows, classes, rng=rng(seed), validation=0, test=0.5)
    model = mlp(widths, rng=rng(seed))
    adam = Adam(model.parameters, lr=0.01)
    train, test = (
        (part.X, part.y.astype(np.float32)[:, np.newaxis]) for part in (parts.train, parts.test)
    )
    loss = binary_cross_entropy_with_logits
    fit(model, loss, adam, *train, epochs=200, batch_size=20, rng=rng(seed), progress=False)
    return evaluate(model, loss, *test)["accuracy"]


LINE, NETWORK = [2, 1], [2, 10, 1]


def test_14_on_blobs_a_straight_line_does_as_well_as_a_network_and_on_moons_it_does_not() -> None:
    """What shows that a network learns has to fail with a line."""
    for points, shows_learning in ((make_blobs, False), (make_moons, True)):
        line, network = (
            np.mean([right_on_held_out(points, widths, seed) for seed in range(4)])
            for widths in (LINE, NETWORK)
        )
        assert network > 0.95
        assert (network > line + 0.05) == shows_learning


def test_16_squared_error_of_a_line_has_no_local_minimum_that_momentum_could_escape() -> None:
    """From wherever it starts, descent without momentum ends at the one minimum."""
    rows = with_ones(X)
    assert np.linalg.eigvalsh(rows.T @ rows).min() > 0, "convex: every curvature is above 0"
    for momentum in (0.0, 0.9):
        ends = [
            on_standardized_inputs(lambda w, m=momentum: SGD(w, lr=0.1, momentum=m), seed=seed)
            for seed in range(5)
        ]
        assert ends == pytest.approx([LEAST] * 5, rel=1e-6)


def told_of_momentum(text: str) -> list[str]:
    """Find sentences in which momentum escapes a local maximum, or a minimum."""
    sentences = re.split(r"(?<=[.!?])\s", " ".join(text.split()))
    momentum, escapes = r"\bmomentum\b", r"\b(escap|leav|jump|get)\w*\b[^.]*\blocal m[ai]"
    return [s for s in sentences if re.search(momentum, s, re.I) and re.search(escapes, s, re.I)]


def test_16_no_page_says_that_momentum_escapes_local_maxima() -> None:
    planted = "Momentum helps to escape from local maxima. It does."
    assert told_of_momentum(planted) == ["Momentum helps to escape from local maxima."]
    for page in prose():
        assert told_of_momentum(page.read_text(encoding="utf-8")) == [], page.name


def test_18_rows_repeated_before_a_split_are_found_in_both_parts() -> None:
    for seed in range(20):
        parts = split(X, Y, rng=rng(seed), validation=0, test=0.2, stratify=False)
        seen = shared_rows(parts.train.X, parts.test.X)
        by_loop = [
            i
            for i, row in enumerate(parts.test.X)
            if any(np.array_equal(row, other) for other in parts.train.X)
        ]
        assert seen.tolist() == by_loop
        assert len(seen), "of five records in fifteen rows some are always seen"
        once = np.unique(ROWS, axis=0)
        parts = split(
            once[:, :3], once[:, 3:], rng=rng(seed), validation=0, test=0.2, stratify=False
        )
        assert shared_rows(parts.train.X, parts.test.X).tolist() == []


def left_out(groups: np.ndarray) -> float:
    """Return the mean squared error on each group of rows, of least squares on the others."""
    errors = []
    for group in np.unique(groups):
        kept = groups != group
        errors.append(squared_error(X[~kept], Y[~kept], least_squares(X[kept], Y[kept])))
    return float(np.mean(errors))


def test_18_repeated_rows_hide_an_error_fifty_times_as_large() -> None:
    a_row, a_record = left_out(np.arange(15)), left_out(np.arange(15) % 5)
    assert round(a_row, 2) == 0.84
    assert round(a_record, 1) == 42.6
