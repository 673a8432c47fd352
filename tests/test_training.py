from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import rich.console
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.data import make_blobs, make_moons, minibatches
from dlbook.history import History
from dlbook.scratch.checks import check_arrays, trusted
from dlbook.scratch.evaluation import share_right
from dlbook.scratch.layers import BatchNorm1d, Layer, Linear, ReLU, Sequential, mlp
from dlbook.scratch.linear import (
    linear_backward,
    linear_forward,
    linear_input_gradient,
    linear_parameter_gradients,
)
from dlbook.scratch.losses import (
    Loss,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse,
)
from dlbook.scratch.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from dlbook.scratch.rates import lr_range_test
from dlbook.scratch.schedules import exponential, one_cycle
from dlbook.scratch.training import evaluate, fit, predict


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
        (AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
        (Adagrad, torch.optim.Adagrad, {"lr": 0.1}),
        (RMSprop, torch.optim.RMSprop, {"lr": 0.001, "momentum": 0.5}),
    ],
    ids=["momentum", "Adam", "AdamW", "Adagrad", "RMSprop"],
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
        ({"patience": 0}, ValueError, "expected patience of at least 1, got 0"),
        ({"patience": 2}, ValueError, "expected validation examples to go with patience, got none"),
        ({"max_norm": 1, "clip_value": 2}, ValueError, "max_norm or clip_value, got both: 1 and 2"),
        ({"max_norm": 0}, ValueError, "expected max_norm from .* up and finite, got 0"),
        ({"clip_value": -1}, ValueError, "expected clip_value from .* up and finite, got -1"),
        ({"schedule": lambda t: -0.5}, ValueError, r"expected schedule\(0\) from 0 .*, got -0.5"),
        ({"validation": (np.zeros((0, 2), np.float32), np.zeros(0, int))}, ValueError, "at least"),
        ({"validation": (np.zeros((1, 2), np.float32), np.array([-1]))}, ValueError, "got -1"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, dict) else None,
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


def test_a_schedule_sets_the_rate_of_each_step_counted_through_all_epochs() -> None:
    asked: list[int] = []

    def halving(t: int) -> float:
        asked.append(t)
        return exponential(t, lr=0.5, gamma=0.5)

    X, y = make_blobs(10, k=3, rng=rng())
    model = mlp([2, 3], rng=rng())
    sgd = SGD(model.parameters, lr=7)
    fit(
        model, cross_entropy, sgd, X, y,
        epochs=2, batch_size=4, rng=rng(), schedule=halving, progress=False,
    )  # fmt: skip
    assert asked == [0, 1, 2, 3, 4, 5]
    assert sgd.lr == 0.5**6


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("clip", [{"max_norm": 0.2}, {"clip_value": 0.01}], ids=str)
def test_scheduled_and_clipped_training_agrees_with_pytorch(clip: dict[str, Any]) -> None:
    X, y = make_moons(60, rng=rng(), dtype=np.float64)
    model = mlp([2, 8, 2], rng=rng(), dtype=np.float64)
    twin = torch_twin(model, torch.nn.ReLU)
    reference = torch.optim.SGD(twin.parameters(), lr=1.0, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        reference, max_lr=0.5, total_steps=45, cycle_momentum=False
    )
    shuffle = rng(7)
    for _ in range(15):
        for batch in shuffle.permutation(60).reshape(3, 20):
            reference.zero_grad()
            F.cross_entropy(twin(torch.tensor(X[batch])), torch.tensor(y[batch])).backward()  # type: ignore[no-untyped-call]
            if "max_norm" in clip:
                torch.nn.utils.clip_grad_norm_(twin.parameters(), clip["max_norm"])
            else:
                torch.nn.utils.clip_grad_value_(twin.parameters(), clip["clip_value"])
            reference.step()
            scheduler.step()
    sgd = SGD(model.parameters, lr=9, momentum=0.9)
    fit(
        model, cross_entropy, sgd, X, y,
        epochs=15, batch_size=20, rng=rng(7), progress=False,
        schedule=lambda t: one_cycle(t, max_lr=0.5, total_steps=45), **clip,
    )  # fmt: skip
    for w, tensor in zip(model.parameters, twin.parameters(), strict=True):
        assert_allclose(w, tensor.detach().numpy().T, atol=1e-8)


def test_early_stopping_waits_its_patience_and_restores_the_best_epoch() -> None:
    X, y = make_blobs(40, k=2, spread=2.0, rng=rng(3), dtype=np.float64)
    held_out = make_blobs(200, k=2, spread=2.0, rng=rng(4), dtype=np.float64)
    model = mlp([2, 32, 2], rng=rng(), dtype=np.float64)
    history = fit(
        model, cross_entropy, Adam(model.parameters, 0.05), X, y,
        epochs=200, batch_size=10, rng=rng(), validation=held_out, patience=4, progress=False,
    )  # fmt: skip
    losses = history["validation_loss"]
    best = int(np.argmin(losses))
    assert len(history) == best + 1 + 4 < 200
    assert evaluate(model, cross_entropy, *held_out)["loss"] == pytest.approx(losses[best])
    assert losses[-1] > losses[best]


def test_a_loss_that_stays_is_not_a_new_lowest() -> None:
    X, y = np.zeros((4, 2)), np.array([0, 0, 1, 1])  # nothing to learn
    model = mlp([2, 2], rng=rng(), dtype=np.float64)
    history = fit(
        model, cross_entropy, SGD(model.parameters), X, y,
        epochs=9, batch_size=4, rng=rng(), validation=(X, y), patience=2, progress=False,
    )  # fmt: skip
    assert len(history["epoch"]) == 3, "the first and two that wait"


def test_the_bar_is_shown_unless_told_otherwise_and_gets_loss_and_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bars: list[Any] = []

    @contextmanager
    def bar(epochs: int, *, shown: bool) -> Iterator[Any]:
        bars.append((epochs, shown))
        yield lambda *told: bars.append(told)

    monkeypatch.setattr("dlbook.scratch.training.epoch_bar", bar)
    X, y = make_blobs(6, k=3, rng=rng())
    model = mlp([2, 3], rng=rng())
    sgd = SGD(model.parameters, lr=0.25)
    history = fit(model, cross_entropy, sgd, X, y, epochs=2, batch_size=3, rng=rng())
    first, second = history["train_loss"]
    assert bars == [(2, True), (first, 0.25), (second, 0.25)]
    fit(model, cross_entropy, sgd, X, y, epochs=1, batch_size=3, rng=rng(), progress=False)
    assert bars[3] == (1, False)


def test_the_seconds_of_an_epoch_are_those_between_its_start_and_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([10.0, 13.0, 20.0, 25.0])
    monkeypatch.setattr("dlbook.scratch.training.perf_counter", lambda: next(clock))
    X, y = make_blobs(6, k=3, rng=rng())
    model = mlp([2, 3], rng=rng())
    history = fit(
        model, cross_entropy, SGD(model.parameters), X, y,
        epochs=2, batch_size=3, rng=rng(), progress=False,
    )  # fmt: skip
    assert list(history["seconds"]) == [3.0, 5.0]


@pytest.mark.parametrize("option", ["max_norm", "clip_value"])
def test_a_limit_that_cannot_be_is_told_before_any_batch_is_drawn(option: str) -> None:
    X, y = make_blobs(6, k=3, rng=rng())
    model, drawn, bad = mlp([2, 3], rng=rng()), rng(), {option: 0.0}
    with pytest.raises(ValueError, match=f"expected {option} from .* up and finite, got 0"):
        fit(
            model, cross_entropy, SGD(model.parameters), X, y,
            epochs=1, batch_size=3, rng=drawn, progress=False, **bad,  # type: ignore[arg-type]  # a dict of floats
        )  # fmt: skip
    assert drawn.random() == rng().random()


def test_a_run_with_patience_that_ends_by_itself_also_has_its_best_epoch() -> None:
    X, y = make_blobs(30, k=3, spread=2.0, rng=rng(5))
    model = mlp([2, 3], rng=rng())
    rates = iter([0.1] * 2 + [50.0] * 8)  # a good epoch, then four that spoil it
    history = fit(
        model, cross_entropy, SGD(model.parameters), X, y,
        epochs=5, batch_size=15, rng=rng(), validation=(X, y), patience=9, progress=False,
        schedule=lambda t: next(rates),
    )  # fmt: skip
    assert len(history) == 5
    losses = history["validation_loss"]
    assert evaluate(model, cross_entropy, X, y)["loss"] == min(losses) < losses[-1]


def test_a_run_whose_loss_is_never_a_number_keeps_its_last_parameters() -> None:
    X, Y = np.ones((4, 1)), np.ones((4, 1))
    model = mlp([1, 1], rng=rng(), dtype=np.float64)
    loss: Loss = (lambda Z, Y: (float("nan"), Z - Y), mse[1])
    history = fit(
        model, loss, SGD(model.parameters, 0.1), X, Y,
        epochs=5, batch_size=4, rng=rng(), validation=(X, Y), patience=2, progress=False,
    )  # fmt: skip
    assert len(history) == 2


@pytest.mark.parametrize("batch_size", [1, 3, 7, 1024])
def test_predict_gives_the_outputs_whatever_the_batch(batch_size: int) -> None:
    model, X = mlp([2, 5, 3], rng=rng()), rng(1).normal(size=(7, 2)).astype(np.float32)
    assert_allclose(predict(model, X, batch_size=batch_size), model.forward(X), rtol=1e-5)
    assert predict(model, X[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match="batch_size of at least 1, got 0"):
        predict(model, X, batch_size=0)


def test_the_first_batch_is_checked_although_the_later_ones_are_trusted() -> None:
    X, y = make_blobs(20, k=2, rng=rng())
    model = mlp([2, 2], rng=rng())
    loss: Loss = (cross_entropy[0], lambda cache: cross_entropy[1](cache).astype(np.float64))
    with pytest.raises(TypeError, match="expected dZ in float32"):
        fit(model, loss, SGD(model.parameters), X, y, **GOOD, progress=False)


def test_trust_ends_with_its_block_even_if_it_fails() -> None:
    def fails() -> None:
        with trusted():
            check_arrays(Z=(np.zeros(2), "n, k"))
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    with pytest.raises(ValueError, match="expected Z of shape"):
        check_arrays(Z=(np.zeros(2), "n, k"))


def test_the_gradients_of_the_layers_are_those_of_the_derivation() -> None:
    X, W, b = rng(0).normal(size=(5, 3)), rng(1).normal(size=(3, 2)), np.zeros(2)
    Z, cache = linear_forward(X, W, b)
    dZ = rng(2).normal(size=Z.shape)
    parts = (linear_input_gradient(dZ, cache), *linear_parameter_gradients(dZ, cache))
    for part, derived in zip(parts, linear_backward(dZ, cache), strict=True):
        assert_allclose(part, derived, rtol=1e-13)


def test_sparing_the_gradient_of_the_inputs_changes_no_other() -> None:
    model, X = mlp([3, 4, 2], rng=rng(), dtype=np.float64), rng(0).normal(size=(5, 3))
    dZ = rng(2).normal(size=(5, 2))
    model.forward(X)
    model.backward(dZ)
    whole = [g.copy() for g in model.gradients]
    model.backward_parameters(dZ)
    for alone, kept in zip(model.gradients, whole, strict=True):
        assert_array_equal(alone, kept)


def test_a_range_test_leaves_everything_as_it_is_and_stops_when_the_loss_blows_up() -> None:
    X, y = make_blobs(60, k=3, rng=rng())
    model = mlp([2, 8, 3], rng=rng())
    sgd = SGD(model.parameters, lr=0.3, momentum=0.9)
    before = [w.copy() for w in model.parameters]
    found = lr_range_test(
        model, cross_entropy, sgd, X, y,
        batch_size=16, rng=rng(), lowest=1e-4, highest=1e4, steps=81,
    )  # fmt: skip
    assert found.lr.shape == found.loss.shape
    assert 20 < len(found.lr) < 81, "rates of thousands blow up"
    assert_allclose(found.lr[:21:10], [1e-4, 1e-3, 1e-2], rtol=1e-12)
    assert found.loss[-1] > 4 * found.loss.min()
    assert np.all(found.loss[:-1] <= 4 * np.minimum.accumulate(found.loss[:-1]))
    assert found.loss.min() < 0.5 * found.loss[0]
    assert (sgd.lr, sgd.steps) == (0.3, 0)
    for w, kept in zip(model.parameters, before, strict=True):
        assert_array_equal(w, kept)


def test_a_range_test_tries_a_hundred_rates_from_a_millionth_to_ten_unless_told_otherwise() -> None:
    X, y = np.zeros((4, 2)), np.array([0, 0, 1, 1])  # nothing to learn: the loss stays
    model = mlp([2, 2], rng=rng(), dtype=np.float64)
    found = lr_range_test(
        model, cross_entropy, SGD(model.parameters), X, y, batch_size=4, rng=rng()
    )
    assert_allclose(found.lr, np.geomspace(1e-6, 10, 100), rtol=1e-12)
    assert_allclose(found.loss, np.log(2), rtol=1e-12)


def test_a_range_test_shuffles_the_examples_anew_whenever_all_have_been_shown() -> None:
    X, y = make_blobs(6, k=3, rng=rng())
    model = mlp([2, 3], rng=rng())
    found = lr_range_test(
        model, cross_entropy, SGD(model.parameters), X, y,
        batch_size=2, rng=rng(), lowest=1e-99, highest=1e-99, steps=6,
    )  # fmt: skip
    order = rng()  # rates of nothing: each loss is that of its batch
    batches = [*minibatches(6, 2, rng=order), *minibatches(6, 2, rng=order)]
    losses = [evaluate(model, cross_entropy, X[b], y[b])["loss"] for b in batches]
    assert_allclose(found.loss, losses, rtol=1e-6)
    assert len(set(losses)) > 3


def test_a_range_test_ends_with_the_first_loss_above_four_times_the_lowest() -> None:
    told = iter([8.0, 8.0, 2.0, 7.9, 8.0, 8.1, 1.0])  # the first is that of the check
    scripted: Loss = (lambda Z, y: (next(told), Z), np.zeros_like)
    model = mlp([2, 3], rng=rng())
    found = lr_range_test(
        model, scripted, SGD(model.parameters), np.zeros((2, 2), "f"), np.zeros(2, int),
        batch_size=2, rng=rng(),
    )  # fmt: skip
    assert_array_equal(found.loss, [8.0, 2.0, 7.9, 8.0, 8.1])


def test_a_range_test_ends_without_a_warning_when_numbers_overflow() -> None:
    X, Y = np.array([[0.0, 9.0], [9.0, 0.0]]), np.array([[9.0], [9.0]])
    model = mlp([2, 1], rng=rng(), dtype=np.float64)
    found = lr_range_test(
        model, mse, SGD(model.parameters), X, Y,
        batch_size=2, rng=rng(), lowest=1e308, highest=1.5e308, steps=9,
    )  # fmt: skip
    assert np.isfinite(found.loss[0])
    assert np.isnan(found.loss[1:]).tolist() == [True]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size of at least 1, got 0"),
        ({"rng": 3}, TypeError, "expected rng to be a Generator, got int"),
        ({"lowest": 0.0}, ValueError, "expected lowest from .* up and finite, got 0.0"),
        ({"lowest": 2.0, "highest": 1.0}, ValueError, "expected highest from 2.0 up and finite"),
        ({"steps": 1}, ValueError, "expected steps of at least 2, got 1"),
        ({"y": np.full(6, 9)}, ValueError, "class ids from 0 to 2, got 9"),
        ({"X": np.full((6, 2), np.inf, "f")}, ValueError, "finite numbers in X, got 12 that are"),
    ],
    ids=str,
)
def test_a_range_test_refuses_bad_input(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    given: dict[str, Any] = {"X": np.zeros((6, 2), np.float32), "y": np.zeros(6, int)}
    given |= {"batch_size": 2, "rng": rng(), **change}
    model = mlp([2, 3], rng=rng())
    with pytest.raises(error, match=message):
        lr_range_test(model, cross_entropy, SGD(model.parameters), **given)


def test_the_best_epoch_has_its_running_statistics_back_too() -> None:
    X, y = make_blobs(30, k=3, spread=2.0, rng=rng(5))
    model = Sequential(Linear(2, 4, rng=rng()), BatchNorm1d(4), ReLU(), Linear(4, 3, rng=rng(1)))
    rates = iter([0.1] * 2 + [50.0] * 8)
    history = fit(
        model, cross_entropy, SGD(model.parameters), X, y,
        epochs=5, batch_size=15, rng=rng(), validation=(X, y), patience=9, progress=False,
        schedule=lambda t: next(rates),
    )  # fmt: skip
    losses = history["validation_loss"]
    assert losses[0] == min(losses) < losses[-1]
    assert evaluate(model, cross_entropy, X, y)["loss"] == losses[0]
    assert model.buffers[-1] == 2, "two batches had been seen"


def test_the_accuracy_of_two_classes_holds_logits_above_0_against_targets_above_one_half() -> None:
    Z = np.array([[-0.4], [0.0], [0.3], [5.0], [-1.0]])
    Y = np.array([[0.0], [0.0], [1.0], [0.0], [0.5]])  # only the fourth answer is wrong
    assert share_right(binary_cross_entropy_with_logits, Z, Y) == {"accuracy": 0.8}
    assert share_right(mse, Z, Y) == {}
    assert share_right(cross_entropy, np.eye(3, 4), np.array([0, 3, 2])) == {"accuracy": 2 / 3}


def test_predict_shows_the_network_1024_examples_at_a_time_unless_told_otherwise() -> None:
    class Seeing(Layer):
        seen: list[int] = []  # noqa: RUF012  # of this class alone

        def forward(self, X: np.ndarray, *, training: bool = False) -> np.ndarray:
            self.seen.append(len(X))
            return X

    X = rng().normal(size=(2500, 1))
    assert_array_equal(predict(Seeing(), X), X)
    assert_array_equal(predict(Seeing(), X, batch_size=2000), X)
    assert Seeing.seen == [1024, 1024, 452, 2000, 500]
