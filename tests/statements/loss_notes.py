"""Proofs of what the docstrings of losses and of the linear map state beside their equations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import Generator

from dlbook.scratch import autograd, checks, linear, losses, penalties, pooling
from dlbook.scratch.autograd import Tensor
from dlbook.scratch.checks import Array
from dlbook.scratch.losses import classes
from tests.proof import Pairs
from tests.statements import states, that
from tests.statements.formulas import gradient
from tests.statements.losses import labeled, log_softmax, pairs, weighted


def regressions(rng: Generator) -> Pairs:
    """Compare what is kept with errors that are subtracted one by one."""
    for Z, Y in pairs(rng):
        errors = [z - y for z, y in zip(Z.ravel().tolist(), Y.ravel().tolist(), strict=True)]
        for forward in (losses.mse_forward, losses.mae_forward):
            yield forward(Z, Y)[1].ravel(), errors


ERRORS = [
    states(function, text)(regressions)
    for function, text in [
        (losses.mse_forward, "The errors Z − Y."),
        (losses.mae_forward, "The errors Z − Y."),
        (losses.mse_backward, "What ``mse_forward`` kept: Z − Y."),
        (losses.mae_backward, "What ``mae_forward`` kept: Z − Y."),
    ]
]


@states(losses.huber_forward, "The errors Z − Y, cut off at ±δ.")
def huber_errors(rng: Generator) -> Pairs:
    for Z, Y in pairs(rng):
        delta = rng.uniform(0.5, 3)
        cut = [sorted((-delta, e, delta))[1] for e in (Z - Y).ravel().tolist()]
        yield losses.huber_forward(Z, Y, delta=delta)[1].ravel(), cut


@states(
    losses.mse_forward,
    "Half the sum over the outputs, which many derivations use, has a gradient d_out / 2 times as "
    "large.",
)
def half_the_sum(rng: Generator) -> Pairs:
    for Z, Y in pairs(rng):
        n, d_out = Z.shape
        halved = gradient(lambda X, Y: ((X - Y) ** 2).sum() / 2, Z, Y) / n
        yield losses.mse_backward(losses.mse_forward(Z, Y)[1]) * d_out / 2, halved


@states(
    losses,
    "Its gradient holds the 1/m, so that those of the parameters are plain sums over the batch.",
)
def plain_sums(rng: Generator) -> Pairs:
    """With every example shown twice the 1/m halves dZ; sums of the halves are what they were."""
    for X, Y in pairs(rng):
        W = rng.normal(size=(X.shape[1], Y.shape[1]))
        for forward, backward in (losses.mse, losses.mae, losses.huber):
            found = []
            for times in (1, 2):
                Z, cache = linear.linear_forward(np.tile(X, (times, 1)), W, np.zeros(len(W[0])))
                dZ = backward(forward(Z, np.tile(Y, (times, 1)))[1])
                _, dW, _ = linear.linear_backward(dZ, cache)
                yield dW, np.einsum("il,ij->lj", np.tile(X, (times, 1)), dZ)
                found.append((dZ[: len(X)], dW))
            (once, dW), (twice, again) = found
            yield twice * 2, once
            yield again, dW


@states(
    linear.linear_backward,
    "There is no 1/n here: where the loss is a mean, dZ already holds it.",
)
def no_mean_in_linear(rng: Generator) -> Pairs:
    for X, _ in pairs(rng):
        W, Y = rng.normal(size=(X.shape[1], 2)), rng.normal(size=(len(X), 2))

        def mean(V: Any, X: Array = X, Y: Array = Y) -> Any:
            return ((X @ V - Y) ** 2).sum() / Y.size

        Z, cache = linear.linear_forward(X, W, np.zeros(2))
        dZ = losses.mse_backward(losses.mse_forward(Z, Y)[1])
        yield linear.linear_backward(dZ, cache)[1], gradient(mean, W)


@states(losses.huber_forward, "For a large δ it is half of ``mse_forward``, not the whole.")
def half_of_squares(rng: Generator) -> Pairs:
    for Z, Y in pairs(rng):
        loss, _ = losses.huber_forward(Z, Y, delta=1e3)
        yield loss, losses.mse_forward(Z, Y)[0] / 2


@states(losses.huber_forward, "``torch.nn.SmoothL1Loss`` is this divided by δ.")
def smooth_l1(rng: Generator) -> Pairs:
    for Z, Y in pairs(rng):
        delta = rng.uniform(0.2, 3)
        loss, _ = losses.huber_forward(Z, Y, delta=delta)
        theirs = torch.nn.SmoothL1Loss(beta=delta)(torch.from_numpy(Z), torch.from_numpy(Y))
        yield loss / delta, theirs.item()


@states(
    losses.binary_cross_entropy_with_logits_forward,
    "Compute the mean binary cross-entropy of the probabilities σ(z).",
)
def of_probabilities(rng: Generator) -> Pairs:
    for Z, Y in pairs(rng):
        P = torch.sigmoid(torch.from_numpy(Z))
        loss, _ = losses.binary_cross_entropy_with_logits_forward(Z, Y)
        yield loss, torch.nn.functional.binary_cross_entropy(P, torch.from_numpy(Y)).item()


SUMS_TO_0 = "Derivative of the loss with respect to Z; each row sums to 0."


@states(classes.cross_entropy_backward, SUMS_TO_0)
def rows_of_cross_entropy(rng: Generator) -> Pairs:
    for Z, y in labeled(rng):
        dZ = losses.cross_entropy_backward(losses.cross_entropy_forward(Z, y)[1])
        yield [math.fsum(row) for row in dZ.tolist()], [0.0] * len(y)


@states(classes.weighted_cross_entropy_backward, SUMS_TO_0)
def rows_of_weighted(rng: Generator) -> Pairs:
    for Z, _, _, (_, cache) in weighted(rng):
        dZ = losses.weighted_cross_entropy_backward(cache)
        yield [math.fsum(row) for row in dZ.tolist()], [0.0] * len(Z)


@states(
    losses.binary_cross_entropy_with_logits_forward,
    "In nats; ln 2 ≈ 0.693 for a model that knows nothing.",
)
def knows_nothing(rng: Generator) -> Pairs:
    for _, Y in pairs(rng):
        loss, _ = losses.binary_cross_entropy_with_logits_forward(np.zeros(Y.shape), Y)
        yield loss, math.log(2)
        yield round(loss, 3), 0.693


def kept(rng: Generator) -> Pairs:
    for Z, T, c, (_, (log_P, shares)) in weighted(rng):
        yield log_P, log_softmax(Z)
        yield shares, T / c


KEPT = [
    states(
        classes.weighted_cross_entropy_forward,
        "The logarithms of the probabilities and T / c, both of shape (n, k).",
    )(kept),
    states(
        classes.weighted_cross_entropy_backward,
        "What ``weighted_cross_entropy_forward`` kept: ln P and T / c, both of shape (n, k).",
    )(kept),
]


@states(
    classes.weighted_cross_entropy_backward,
    "Where the targets of a row sum to 1, this is 1/c (p − t), as for ``cross_entropy_backward``.",
)
def sums_of_1(rng: Generator) -> Pairs:
    for Z, y in labeled(rng):
        n, k = Z.shape
        smoothing = rng.uniform()
        _, cache = losses.weighted_cross_entropy_forward(Z, y, label_smoothing=smoothing)
        T = np.array([[smoothing / k + (1 - smoothing) * (j == i) for j in range(k)] for i in y])
        yield losses.weighted_cross_entropy_backward(cache), (np.exp(log_softmax(Z)) - T) / n
        _, plain = losses.weighted_cross_entropy_forward(Z, y)
        same = losses.cross_entropy_backward(losses.cross_entropy_forward(Z, y)[1])
        yield losses.weighted_cross_entropy_backward(plain), same


@states(
    autograd.cross_entropy,
    "The gradient (P − Y) / n, derived by hand for ``losses.cross_entropy_backward``, is not "
    "written here: it comes out.",
)
def comes_out(rng: Generator) -> Pairs:
    for values, y in labeled(rng):
        Z = Tensor(values)
        (dZ,) = autograd.cross_entropy(Z, y).backward([Z])
        Y = np.array([[float(j == label) for j in range(values.shape[1])] for label in y])
        yield dZ, (np.exp(log_softmax(values)) - Y) / len(y)


def told(words: str, call: Callable[..., Any], *given: Any, **options: Any) -> tuple[float, float]:
    """Make a pair of a refusal whose message holds the words."""
    with pytest.raises(ValueError, match="expected") as error:
        call(*given, **options)
    return that(words in str(error.value))


Checked = Callable[[Any, Array], Any]  # of labels and logits


def labels(check: Checked, *, raised: bool = False) -> Callable[[Generator], Pairs]:
    """Make a proof that 0 to k − 1 pass, and that nothing else does."""

    def prove(rng: Generator) -> Pairs:
        for n, k in rng.integers(1, 6, size=(100, 2)).tolist():
            Z = rng.normal(size=(n, k))
            for label in range(k):
                check(np.full(n, label), Z)
            for outside in (-1, k, int(rng.integers(k, 99))):
                yield told(f"from 0 to {k - 1}, got {outside}", check, np.full(n, outside), Z)
            if raised:
                yield told(f"({n}, {k})", check, np.zeros((n, k), int), Z)
                yield told(f"got {n + 1}", check, np.zeros(n + 1, int), Z)

    return prove


def no_row(check: Checked) -> Callable[[Generator], Pairs]:
    """Make a proof of what else is told where a loss is computed."""

    def prove(rng: Generator) -> Pairs:
        yield from labels(check, raised=True)(rng)
        for k in range(1, 6):
            yield told("(0,", check, np.zeros(0, int), np.zeros((0, k)))

    return prove


def by_autograd(y: Any, Z: Array) -> Any:
    return autograd.cross_entropy(Tensor(Z), y)


def by_hand(y: Any, Z: Array) -> Any:
    return losses.cross_entropy_forward(Z, y)


def by_weights(y: Any, Z: Array) -> Any:
    return losses.weighted_cross_entropy_forward(Z, y)


RAISED = (
    "If a shape does not fit, there is no row, or a class id is not from 0 to k - 1; the message "
    "gives what came."
)
LABELS = [
    states(
        checks.check_labels,
        "Refuse anything but one class id for each row of logits, from 0 to k - 1.",
    )(labels(checks.check_labels)),
    states(
        checks.check_labels,
        "If ``y`` has another shape than (n,), or an id outside 0 … k - 1; the message gives it.",
    )(labels(checks.check_labels, raised=True)),
    states(autograd.cross_entropy, "Class ids from 0 to k - 1.")(labels(by_autograd)),
    states(autograd.cross_entropy, RAISED)(no_row(by_autograd)),
    states(classes.cross_entropy_forward, "Class ids from 0 to k - 1.")(labels(by_hand)),
    states(classes.cross_entropy_forward, RAISED)(no_row(by_hand)),
]


@states(classes.weighted_cross_entropy_forward, "Class ids from 0 to k - 1, or ``ignore_index``.")
def or_ignored(rng: Generator) -> Pairs:
    yield from labels(by_weights)(rng)
    for Z, y in labeled(rng):
        ignored = int(rng.choice([-7, 99]))
        loss, _ = losses.weighted_cross_entropy_forward(
            np.concatenate([Z, Z]), np.append(y, np.full(len(y), ignored)), ignore_index=ignored
        )
        yield loss, losses.cross_entropy_forward(Z, y)[0]


@states(
    classes.weighted_cross_entropy_forward,
    "If a shape does not fit, there is no row, no label counts or all that do have weight 0, a "
    "class id is not from 0 to k - 1, or an option is out of range; the message gives what came.",
)
def weighted_refusals(rng: Generator) -> Pairs:
    forward = losses.weighted_cross_entropy_forward
    yield from no_row(by_weights)(rng)
    for Z, y in labeled(rng):
        n, k = Z.shape
        ignored = np.full(n, -5)
        yield told("-5", forward, Z, ignored, ignore_index=-5)
        yield told("weights of 0", forward, Z, y, weight=np.zeros(k))
        yield told(f"({k + 1},)", forward, Z, y, weight=np.ones(k + 1))
        yield told("1.5", forward, Z, y, label_smoothing=1.5)
        yield told("'all'", forward, Z, y, reduction="all")


@states(
    penalties.l2_penalty_forward,
    "A sum, not a mean, and with the ½ that makes its gradient λ W: with plain gradient descent it "
    "is the same as ``weight_decay`` of ``torch.optim.SGD``.",
)
def as_weight_decay(rng: Generator) -> Pairs:
    for W, _ in pairs(rng):
        cost, rate = rng.uniform(size=2)
        loss, cache = penalties.l2_penalty_forward(W, weight_decay=cost)
        yield loss, cost * math.fsum(w * w for w in W.flat) / 2
        dW = penalties.l2_penalty_backward(cache)
        yield dW, cost * W
        yield dW, gradient(lambda X, cost: cost / 2 * (X**2).sum(), W, cost)
        parameter = torch.tensor(W)
        parameter.grad = torch.zeros_like(parameter)
        torch.optim.SGD([parameter], rate, weight_decay=cost).step()
        yield W - rate * dW, parameter.numpy()


@states(pooling.flatten_forward, "Rows of d = c h w numbers: channel by channel, row by row.")
def flattened(rng: Generator) -> Pairs:
    for _ in range(100):
        X = rng.normal(size=rng.integers(1, 4, size=4))
        rows = [[p for channel in image for line in channel for p in line] for image in X.tolist()]
        yield pooling.flatten_forward(X)[0], rows
