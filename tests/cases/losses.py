"""Cases of the losses."""

from __future__ import annotations

from functools import partial, wraps
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.scratch import losses
from dlbook.scratch.losses import pairs
from tests.cases.common import (
    Calls,
    Case,
    Refusal,
    Sizes,
    logits,
    some_shape,
    two_alike,
    with_options,
)


def apart(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    """Draw predictions and targets whose errors are away from 0 and 1, where kinks are."""
    Y = rng.normal(size=some_shape(rng, s))
    E = rng.choice([-1.0, 1.0], size=Y.shape) * rng.uniform(0.1, 0.9, size=Y.shape)
    return Y + E + np.trunc(2 * E) * rng.integers(0, 2, size=Y.shape), Y


def logits_and_shares(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    shape = some_shape(rng, s)
    return 3 * rng.normal(size=shape), rng.uniform(size=shape)


def first(Y: np.ndarray, value: float) -> np.ndarray:
    """Return a copy whose first entry is another."""
    spoiled = Y.copy()
    spoiled.flat[0] = value
    return spoiled


def logits_and_classes(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    return 3 * rng.normal(size=(s.n, s.d_out)), rng.integers(0, s.d_out, size=s.n)


def logits_and_classes_some_ignored(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    Z, y = logits_and_classes(rng, s)
    y[1:][rng.uniform(size=max(s.n - 1, 0)) < 0.4] = -100
    return Z, y


def class_weights(k: int) -> np.ndarray:
    return np.linspace(0.3, 2.0, k)


@wraps(losses.weighted_cross_entropy_forward)
def weighted(Z: np.ndarray, y: np.ndarray, **options: Any) -> Any:
    weight = class_weights(Z.shape[1]).astype(Z.dtype) if getattr(Z, "ndim", 0) == 2 else None
    return losses.weighted_cross_entropy_forward(Z, y, weight=weight, **options)


def weighted_in_torch(Z: torch.Tensor, y: torch.Tensor, **options: Any) -> torch.Tensor:
    return F.cross_entropy(Z, y, weight=torch.tensor(class_weights(Z.shape[1])), **options)


NO_ENTRY = Refusal("no entry", lambda Z, Y: (Z[:0], Y[:0]), "at least one entry")
NO_CLASSES = (
    Refusal("no row", lambda Z, y: (Z[:0], y[:0]), "at least one entry"),
    Refusal("a class of −1", lambda Z, y: (Z, y * 0 - 1), "from 0 to .*, got -1"),
    Refusal("a class of k", lambda Z, y: (Z, y * 0 + Z.shape[1]), "from 0 to .*, got"),
)

CASES = [
    Case(
        losses.mse_forward,
        losses.mse_backward,
        torch=F.mse_loss,
        draw=two_alike,
        refusals=(NO_ENTRY,),
    ),
    Case(
        losses.mae_forward,
        losses.mae_backward,
        torch=F.l1_loss,
        draw=apart,
        refusals=(NO_ENTRY,),
    ),
    Case(
        losses.huber_forward,
        losses.huber_backward,
        torch=F.huber_loss,
        draw=apart,
        refusals=(NO_ENTRY,),
    ),
    Case(
        with_options(losses.huber_forward, delta=0.4),
        losses.huber_backward,
        torch=partial(F.huber_loss, delta=0.4),
        draw=apart,
    ),
    Case(
        losses.binary_cross_entropy_with_logits_forward,
        losses.binary_cross_entropy_with_logits_backward,
        torch=F.binary_cross_entropy_with_logits,
        draw=logits_and_shares,
        refusals=(
            NO_ENTRY,
            Refusal("a target of −1", lambda Z, Y: (Z, -np.ones_like(Y)), "from 0 to 1, got"),
            Refusal("a target of 2", lambda Z, Y: (Z, 2 + Y), "from 0 to 1, got"),
            Refusal("one target of −1", lambda Z, Y: (Z, first(Y, -1.0)), "from 0 to 1, got"),
            Refusal("one target of 1.5", lambda Z, Y: (Z, first(Y, 1.5)), "from 0 to 1, got"),
            Refusal("a target of NaN", lambda Z, Y: (Z, Y * np.nan), "from 0 to 1, got"),
        ),
    ),
    Case(
        losses.cross_entropy_forward,
        losses.cross_entropy_backward,
        torch=F.cross_entropy,
        draw=logits_and_classes,
        refusals=NO_CLASSES,
    ),
    Case(
        losses.weighted_cross_entropy_forward,
        losses.weighted_cross_entropy_backward,
        torch=F.cross_entropy,
        draw=logits_and_classes_some_ignored,
        refusals=(
            *NO_CLASSES,
            Refusal("no label that counts", lambda Z, y: (Z, y * 0 - 100), "one label that counts"),
        ),
    ),
    Case(
        weighted,
        losses.weighted_cross_entropy_backward,
        torch=weighted_in_torch,
        draw=logits_and_classes_some_ignored,
    ),
    Case(
        with_options(weighted, label_smoothing=0.1),
        losses.weighted_cross_entropy_backward,
        torch=partial(weighted_in_torch, label_smoothing=0.1),
        draw=logits_and_classes_some_ignored,
    ),
    Case(
        with_options(weighted, label_smoothing=0.3, reduction="sum"),
        losses.weighted_cross_entropy_backward,
        torch=partial(weighted_in_torch, label_smoothing=0.3, reduction="sum"),
        draw=logits_and_classes_some_ignored,
    ),
]

CALLS: Calls = {
    pairs.check_some: lambda rng, s: partial(pairs.check_some, logits(rng, s)),
}
