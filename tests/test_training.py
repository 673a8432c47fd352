from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rich.console
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.data import make_blobs, make_moons
from dlbook.history import History
from dlbook.scratch.layers import Linear, Sequential, mlp
from dlbook.scratch.losses import (
    Loss,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse,
)
from dlbook.scratch.optimizers import SGD, Adam
from dlbook.scratch.training import evaluate, fit


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keep PyTorch from waiting for other threads: its matrices are tiny here."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def torch_twin(model: Sequential, activation: Any) -> torch.nn.Sequential:
    """Build the same network in PyTorch, from the same parameters."""
    layers: list[torch.nn.Module] = []
    for W, b in zip(model.parameters[::2], model.parameters[1::2], strict=True):
        linear = torch.nn.Linear(W.shape[0], W.shape[1], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(W.T))
            linear.bias.copy_(torch.tensor(b))
        layers += [linear, activation()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (Adam, torch.optim.Adam, {"lr": 0.01}),
    ],
    ids=["momentum", "Adam"],
)
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.usefixtures("one_thread")
def test_a_hundred_steps_of_training_agree_with_pytorch(
    ours: Any, theirs: Any, options: dict[str, float], activation: str
) -> None:
    X, y = make_moons(100, rng=rng(), dtype=np.float64)
    model = mlp([2, 16, 8, 2], rng=rng(), activation=activation, dtype=np.float64)
    twin = torch_twin(model, {"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}[activation])
    losses: list[float] = []

    def noted(Z: np.ndarray, y: np.ndarray) -> Any:
        loss, cache = cross_entropy[0](Z, y)
        losses.append(loss)
        return loss, cache

    loss = (noted, cross_entropy[1])
    optimizer = ours(model.parameters, **options)
    fit(model, loss, optimizer, X, y, epochs=20, batch_size=20, rng=rng(7), progress=False)

    reference = theirs(twin.parameters(), **options)
    shuffle, their_losses = rng(7), []
    for _ in range(20):
        for batch in shuffle.permutation(100).reshape(5, 20):
            reference.zero_grad()
            step_loss = F.cross_entropy(twin(torch.tensor(X[batch])), torch.tensor(y[batch]))
            step_loss.backward()  # type: ignore[no-untyped-call]
            reference.step()
            their_losses.append(step_loss.item())
    assert_allclose(losses[-100:], their_losses, rtol=0, atol=1e-8)
    assert losses[-1] < losses[-100]
    for w, tensor in zip(model.parameters, twin.parameters(), strict=True):
        assert_allclose(w, tensor.detach().numpy().T, atol=1e-8)


def blobs_run(**options: Any) -> tuple[Sequential, History]:
    X, y = make_blobs(90, k=3, rng=rng())
    model = mlp([2, 8, 3], rng=rng(1))
    options = {"epochs": 3, "batch_size": 16, "rng": rng(2), "progress": False, **options}
    return model, fit(model, cross_entropy, Adam(model.parameters, 0.05), X, y, **options)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    runs = [blobs_run(rng=rng(seed)) for seed in (2, 2, 3)]
    losses = [history["train_loss"] for _, history in runs]
    assert losses[0] == losses[1] != losses[2]
    assert_array_equal(runs[0][0].parameters[0], runs[1][0].parameters[0])


def test_each_epoch_has_a_row_with_what_was_measured() -> None:
    X, y = make_blobs(30, k=3, rng=rng(5))
    model, history = blobs_run(validation=(X, y))
    names = {"epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"}
    assert set(history.epochs[0]) == {*names, "seconds"}
    assert history["epoch"] == [1, 2, 3]
    measured = evaluate(model, cross_entropy, X, y)
    assert history["validation_loss"][-1] == measured["loss"]
    assert history["validation_accuracy"][-1] == measured["accuracy"] > 0.9
    assert set(blobs_run()[1].epochs[0]) == {"epoch", "train_loss", "train_accuracy", "seconds"}


def test_an_epochs_loss_is_the_mean_over_examples_although_the_last_batch_is_smaller() -> None:
    X, y = make_blobs(10, k=3, rng=rng())
    model = mlp([2, 3], rng=rng())
    still = SGD(model.parameters, lr=0)  # nothing moves, so that the mean is known
    history = fit(
        model, cross_entropy, still, X, y, epochs=1, batch_size=4, rng=rng(), progress=False
    )
    measured = evaluate(model, cross_entropy, X, y)
    assert history["train_loss"][0] == pytest.approx(measured["loss"], rel=1e-6)
    assert history["train_accuracy"][0] == pytest.approx(measured["accuracy"], rel=1e-12)


def test_accuracy_counts_the_largest_logit_or_a_logit_above_zero_or_nothing() -> None:
    model = Linear(1, 2, rng=rng(), dtype=np.float64)
    model.W[:] = [[-1.0, 1.0]]
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    assert evaluate(model, cross_entropy, X, np.array([0, 1, 1, 1]))["accuracy"] == 0.75
    model = Linear(1, 1, rng=rng(), dtype=np.float64)
    model.W[:] = 1
    Y = np.array([[0.0], [1.0], [1.0], [0.0]])
    assert evaluate(model, binary_cross_entropy_with_logits, X, Y)["accuracy"] == 0.5
    assert set(evaluate(model, mse, X, Y)) == {"loss"}


def test_an_interrupted_run_leaves_the_epochs_before_it() -> None:
    X, y = make_blobs(20, rng=rng())
    model = mlp([2, 2], rng=rng())
    calls = []

    def interrupted(Z: np.ndarray, y: np.ndarray) -> Any:
        calls.append(1)
        if len(calls) == 6:  # the first call only looks at the targets; two batches an epoch
            raise KeyboardInterrupt
        return cross_entropy[0](Z, y)

    history = History(settings={"seed": 0})
    sgd = SGD(model.parameters, 0.1)
    loss: Loss = (interrupted, cross_entropy[1])
    with pytest.raises(KeyboardInterrupt):
        fit(
            model, loss, sgd, X, y,
            epochs=9, batch_size=10, rng=rng(), progress=False, history=history,
        )  # fmt: skip
    assert history["epoch"] == [1, 2]


def test_the_progress_bar_shows_epoch_loss_and_rate_only_if_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    console = rich.console.Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(rich.console, "Console", lambda **options: console)
    blobs_run()
    assert screen.getvalue() == ""
    _, history = blobs_run(progress=True)
    assert "3/3" in screen.getvalue()
    assert f"{history['train_loss'][-1]:.4f}" in screen.getvalue()
    assert "0.05" in screen.getvalue()


GOOD: dict[str, Any] = {"epochs": 1, "batch_size": 4, "rng": rng()}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "expected epochs of at least 1, got 0"),
        ({"epochs": 1.5}, TypeError, r"expected epochs to be a whole number, got 1\.5"),
        ({"batch_size": 0}, ValueError, "expected batch_size of at least 1, got 0"),
        ({"rng": 0}, TypeError, "expected rng to be a Generator, got int"),
        ({"X": np.zeros((0, 2), np.float32), "y": np.zeros(0, int)}, ValueError, "at least one"),
        ({"X": np.full((6, 2), np.nan, np.float32)}, ValueError, r"12 that are not: .* X\[0, 0\]"),
        ({"X": np.zeros((6, 2))}, TypeError, "expected X in float32 to go with W, got float64"),
        (
            {"X": np.zeros((6, 3), np.float32)},
            ValueError,
            r"expected X of shape \(n, 2\) to go with W",
        ),
        ({"X": [[0.0, 0.0]] * 6}, TypeError, "expected X to be an array, got list"),
        ({"X": np.array([["a", "b"]] * 6)}, TypeError, "expected X to hold numbers, got <U1"),
        ({"y": np.zeros(5, int)}, ValueError, r"shape \(6, 2\) and y of shape \(5,\)"),
        ({"y": np.array([0, 0, 0, 0, 0, 3])}, ValueError, "class ids from 0 to 2, got 3"),
        ({"y": np.zeros(6)}, TypeError, "expected integer class ids, got float64"),
        ({"validation": (np.zeros((0, 2), np.float32), np.zeros(0, int))}, ValueError, "at least"),
        ({"validation": (np.zeros((1, 2), np.float32), np.array([-1]))}, ValueError, "got -1"),
    ],
    ids=str,
)
def test_bad_input_is_told_before_anything_changes(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    given = {"X": np.zeros((6, 2), np.float32), "y": np.zeros(6, int), **GOOD, **change}
    model = mlp([2, 3], rng=rng())
    before = [w.copy() for w in model.parameters]
    history = History()
    with pytest.raises(error, match=message):
        fit(
            model, cross_entropy, Adam(model.parameters),
            given.pop("X"), given.pop("y"), **given, progress=False, history=history,
        )  # fmt: skip
    assert len(history) == 0
    for w, kept in zip(model.parameters, before, strict=True):
        assert_array_equal(w, kept)


def test_targets_that_are_not_finite_are_told() -> None:
    X, Y = np.zeros((3, 2)), np.array([[0.0], [np.inf], [1.0]])
    model = mlp([2, 1], rng=rng(), dtype=np.float64)
    with pytest.raises(
        ValueError, match=r"finite numbers in y, got 1 that is not: .* y\[1, 0\] is inf"
    ):
        fit(model, mse, SGD(model.parameters, 0.1), X, Y, **GOOD, progress=False)


def test_an_optimizer_of_another_models_parameters_is_told() -> None:
    model, other = mlp([2, 3], rng=rng()), mlp([2, 3], rng=rng())
    X, y = np.zeros((6, 2), np.float32), np.zeros(6, int)
    with pytest.raises(ValueError, match=r"other arrays than the model's: make it with model\."):
        fit(model, cross_entropy, SGD(other.parameters, 0.1), X, y, **GOOD, progress=False)
