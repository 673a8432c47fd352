"""The two halves against each other: ``dlbook.scratch`` and ``dlbook.pytorch`` train alike.

Both start from the same parameters, see the same batches and make a hundred steps in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.optim import lr_scheduler

from dlbook import pytorch
from dlbook.data import make_moons, minibatches
from dlbook.history import History
from dlbook.pytorch.data import Batch
from dlbook.scratch import layers, losses, optimizers, schedules
from dlbook.scratch.training import evaluate, fit, predict
from tests.on_device import DEVICE

TOLERANCE = 1e-8
EPOCHS, STEPS_AN_EPOCH, SIZE = 20, 5, 21
N = STEPS_AN_EPOCH * SIZE - 4  # the last batch is smaller


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class SameOrder:
    """Yields the batches that ``dlbook.scratch.fit`` cuts with a generator of this seed."""

    def __init__(self, X: np.ndarray, y: np.ndarray, seed: int) -> None:
        self.X, self.y, self.rng = torch.tensor(X), torch.tensor(y), rng(seed)

    def __iter__(self) -> Iterator[Batch]:
        for rows in minibatches(len(self.X), SIZE, rng=self.rng):
            yield self.X[rows], self.y[rows]


def points(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_moons(N, rng=rng(seed), dtype=np.float64)
    return X, y + (X[:, 0] > 1)  # three classes


def perceptrons(outputs: int = 3, activation: str = "relu") -> tuple[layers.Sequential, nn.Module]:
    sizes = [2, 16, 8, outputs]
    ours = layers.mlp(sizes, rng=rng(), activation=activation, dtype=np.float64)
    return ours, alike(ours, pytorch.MLP(sizes, activation=activation).double())


def alike(ours: layers.Sequential, theirs: nn.Module) -> nn.Module:
    """Give the second network the first one's parameters, which have the same order."""
    state = zip(theirs.state_dict(), ours.state_dict().values(), strict=True)
    theirs.load_state_dict({name: torch.tensor(array) for name, array in state})
    return theirs.to(DEVICE)  # before an optimizer is made, as PyTorch asks: Adagrad needs it


def hold_alike(ours: layers.Sequential, theirs: nn.Module, tolerance: float = TOLERANCE) -> None:
    both = zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
    for (name, array), tensor in both:
        assert_allclose(tensor.cpu().numpy(), array, rtol=0, atol=tolerance, err_msg=name)


def hold_rows_alike(ours: History, theirs: History) -> None:
    assert len(ours) == len(theirs)
    assert set(ours.epochs[0]) == set(theirs.epochs[0])
    for name in set(ours.epochs[0]) - {"seconds"}:
        assert_allclose(theirs[name], ours[name], rtol=0, atol=TOLERANCE, err_msg=name)


def both_runs(
    networks: tuple[layers.Sequential, nn.Module],
    loss: tuple[losses.Loss, nn.Module],
    makers: Sequence[Callable[..., Any]],
    data: tuple[np.ndarray, np.ndarray],
    *,
    ours: dict[str, Any] | None = None,
    theirs: Callable[[torch.optim.Optimizer], dict[str, Any]] = lambda optimizer: {},
    epochs: int = EPOCHS,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    **shared: Any,
) -> tuple[History, History]:
    """Train both networks and hold rows and parameters alike."""
    by_hand, in_pytorch = networks
    first = fit(
        by_hand, loss[0], makers[0](by_hand.parameters), data[0], data[1],
        epochs=epochs, batch_size=SIZE, rng=rng(7), progress=False,
        validation=validation, **(ours or {}), **shared,
    )  # fmt: skip
    optimizer = makers[1](in_pytorch.parameters())
    held_out = None if validation is None else [tuple(torch.tensor(part) for part in validation)]
    second = pytorch.fit(
        in_pytorch, loss[1], optimizer, SameOrder(*data, seed=7),
        epochs=epochs, device=DEVICE, progress=False,
        validation=held_out, **theirs(optimizer), **shared,
    )  # fmt: skip
    hold_rows_alike(first, second)
    hold_alike(by_hand, in_pytorch)
    return first, second


CLASSES = (losses.cross_entropy, nn.CrossEntropyLoss())
MOMENTUM = tuple(partial(kind.SGD, lr=0.1, momentum=0.9) for kind in (optimizers, torch.optim))

OPTIMIZERS = [
    ("SGD", {"lr": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1}),
    ("RMSprop", {"lr": 0.001, "momentum": 0.5}),
]


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=str)
def test_a_hundred_steps_of_both_halves_agree_with_every_optimizer(
    name: str, options: dict[str, Any]
) -> None:
    makers = tuple(partial(getattr(kind, name), **options) for kind in (optimizers, torch.optim))
    history, _ = both_runs(perceptrons(), CLASSES, makers, points(), validation=points(1))
    assert history["train_loss"][-1] < 0.9 * history["train_loss"][0]


@pytest.mark.parametrize("activation", sorted(pytorch.models.ACTIVATIONS))
def test_a_hundred_steps_agree_with_every_activation(activation: str) -> None:
    both_runs(perceptrons(activation=activation), CLASSES, MOMENTUM, points())


def of_two_classes(y: np.ndarray) -> np.ndarray:
    return (y[:, None] > 0).astype(np.float64)


def as_numbers(y: np.ndarray) -> np.ndarray:
    targets: np.ndarray = rng(3).normal(size=(len(y), 3)) + y[:, None]
    return targets


def same(y: np.ndarray) -> np.ndarray:
    return y


LOSSES: dict[str, tuple[losses.Loss, nn.Module, int, Callable[[np.ndarray], np.ndarray]]] = {
    "cross-entropy": (*CLASSES, 3, same),
    "label smoothing": (
        losses.with_options(losses.weighted_cross_entropy, label_smoothing=0.1),
        nn.CrossEntropyLoss(label_smoothing=0.1),
        3,
        same,
    ),
    "binary cross-entropy": (
        losses.binary_cross_entropy_with_logits,
        nn.BCEWithLogitsLoss(),
        1,
        of_two_classes,
    ),
    "squares": (losses.mse, nn.MSELoss(), 3, as_numbers),
    "absolute": (losses.mae, nn.L1Loss(), 3, as_numbers),
    "Huber": (losses.with_options(losses.huber, delta=0.4), nn.HuberLoss(delta=0.4), 3, as_numbers),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_hundred_steps_agree_with_every_loss(name: str) -> None:
    by_hand, in_pytorch, outputs, targets = LOSSES[name]
    X, y = points()
    both_runs(
        perceptrons(outputs), (by_hand, in_pytorch), MOMENTUM, (X, targets(y)),
        validation=(X[:9], targets(y)[:9]),
    )  # fmt: skip


def test_a_hundred_steps_agree_clipped_and_scheduled() -> None:
    steps = EPOCHS * STEPS_AN_EPOCH
    both_runs(
        perceptrons(), CLASSES, MOMENTUM, points(), max_norm=0.2,
        ours={"schedule": lambda t: schedules.one_cycle(t, max_lr=0.5, total_steps=steps)},
        theirs=lambda optimizer: {
            "schedule": lr_scheduler.OneCycleLR(
                optimizer, max_lr=0.5, total_steps=steps, cycle_momentum=False
            )
        },
    )  # fmt: skip


def test_both_halves_stop_early_at_the_same_epoch_and_choose_the_same_one() -> None:
    X, y = points()
    noisy = y.copy()
    noisy[::4] = rng(5).integers(3, size=len(y[::4]))  # what is learned by heart does not transfer
    networks = perceptrons()
    adam = tuple(partial(kind.Adam, lr=0.02) for kind in (optimizers, torch.optim))
    first, second = both_runs(
        networks, CLASSES, adam, (X, noisy), validation=points(1), patience=5, epochs=300
    )
    best = int(np.argmin(first["validation_loss"]))
    assert best == int(np.argmin(second["validation_loss"])) == len(first) - 1 - 5
    assert 10 < len(first) < 300
    measured = evaluate(networks[0], losses.cross_entropy, *points(1))
    assert measured["loss"] == first["validation_loss"][best]


def images(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make 8 × 8 images with a bright row, column or spot."""
    generator = rng(seed)
    y = generator.integers(3, size=N)
    X = generator.normal(size=(N, 1, 8, 8))
    for image, kind, (i, j) in zip(X[:, 0], y, generator.integers(1, 7, size=(N, 2)), strict=True):
        patch = [image[i], image[:, j], image[i - 1 : i + 2, j - 1 : j + 2]][kind]
        patch += 2
    return X, y


def convolutional() -> tuple[layers.Sequential, nn.Module]:
    options: dict[str, Any] = {"rng": rng(), "dtype": np.float64}
    by_hand = layers.Sequential(
        layers.Conv2d(1, 4, 3, padding=1, **options),
        layers.BatchNorm2d(4, dtype=np.float64),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Conv2d(4, 6, 3, stride=2, padding=1, **options),
        layers.ReLU(),
        layers.Flatten(),
        layers.Linear(24, 3, **options),
    )
    in_pytorch = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 3),
    ).double()
    return by_hand, alike(by_hand, in_pytorch)


def test_a_hundred_steps_of_a_convolutional_network_agree_statistics_included() -> None:
    networks = convolutional()
    history, _ = both_runs(networks, CLASSES, MOMENTUM, images(), validation=images(1))
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    X, _ = images(2)
    theirs = pytorch.predict(networks[1], torch.tensor(X), batch_size=7, device=DEVICE)
    assert_allclose(theirs.numpy(), predict(networks[0], X, batch_size=50), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("factor", [1 + 1e-6, 1 - 1e-6])
def test_a_rate_wrong_in_the_sixth_place_turns_parity_red(factor: float) -> None:
    wrong = partial(torch.optim.SGD, lr=0.1 * factor, momentum=0.9)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        both_runs(perceptrons(), CLASSES, (MOMENTUM[0], wrong), points())
