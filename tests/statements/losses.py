"""Proofs of what the docstrings of losses and of the penalty state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.random import Generator

from dlbook.scratch import losses, penalties
from dlbook.scratch.checks import Array, Labels
from dlbook.scratch.losses import classes
from tests.proof import Pairs
from tests.statements import Statement, states
from tests.statements.formulas import gradient


def pairs(rng: Generator) -> Iterator[tuple[Array, Array]]:
    """Yield a hundred predictions and targets from 0 to 1."""
    for _ in range(100):
        shape = rng.integers(1, 5, size=2)
        yield rng.normal(scale=3, size=shape), rng.uniform(size=shape)


def means(
    function: Callable[..., Any],
    text: str,
    *terms: Callable[[float, float, float], float],
    option: str | None = None,
) -> Statement:
    """Prove that the loss is 1/m Σ of each of the equal ``terms`` of z, y and the option."""

    @states(function, text)
    def prove(rng: Generator) -> Pairs:
        for Z, Y in pairs(rng):
            given = rng.uniform(0.5, 3)
            loss, _ = function(Z, Y, **({option: given} if option else {}))
            for term in terms:
                entries = zip(Z.ravel().tolist(), Y.ravel().tolist(), strict=True)
                yield loss, math.fsum(term(z, y, given) for z, y in entries) / Z.size

    return prove


def gradients(
    backward: Callable[..., Any],
    forward: Callable[..., Any],
    text: str,
    slope: Callable[[float, float, float], float],
    loss: Callable[[Any, Array, float], Any],
    *,
    option: str | None = None,
) -> Statement:
    """Prove that dZ is 1/m times ``slope``, and that this is the gradient of the mean ``loss``."""

    @states(backward, text)
    def prove(rng: Generator) -> Pairs:
        for Z, Y in pairs(rng):
            given = rng.uniform(0.5, 3)
            dZ = backward(forward(Z, Y, **({option: given} if option else {}))[1])
            entries = zip(Z.ravel().tolist(), Y.ravel().tolist(), strict=True)
            yield dZ.ravel(), np.array([slope(z, y, given) / Z.size for z, y in entries])
            yield dZ, gradient(loss, Z, Y, given) / Z.size

    return prove


def sigma(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def huber_term(z: float, y: float, delta: float) -> float:
    e = abs(z - y)
    return e**2 / 2 if e <= delta else delta * (e - delta / 2)


def huber_cut(z: float, y: float, delta: float) -> float:
    e = z - y
    cut = max(-delta, min(e, delta))
    return cut * (e - cut / 2)


def huber_complex(Z: Any, Y: Array, delta: float) -> Any:
    E = Z - Y
    lines = delta * (np.sign(E.real) * E - delta / 2)
    return np.where(np.abs(E.real) <= delta, E**2 / 2, lines).sum()


def yes_or_no(Z: Any, Y: Array, _: float) -> Any:
    P = 1 / (1 + np.exp(-Z))
    return -(Y * np.log(P) + (1 - Y) * np.log(1 - P)).sum()


MEANS = [
    means(
        losses.mse_forward,
        "loss = 1/m Σ (z − y)², where m is the number of entries",
        lambda z, y, _: (z - y) ** 2,
    ),
    means(
        losses.mae_forward,
        "loss = 1/m Σ |z − y|, where m is the number of entries",
        lambda z, y, _: abs(z - y),
    ),
    means(
        losses.huber_forward,
        "loss = 1/m Σ h(z − y), where h(e) = e²/2 for |e| ≤ δ and δ (|e| − δ/2) for |e| > δ; "
        "with c as e cut off at ±δ, both are h(e) = c (e − c/2)",
        huber_term,
        huber_cut,
        option="delta",
    ),
    means(
        losses.binary_cross_entropy_with_logits_forward,
        "loss = −1/m Σ (y ln σ(z) + (1 − y) ln(1 − σ(z))) "
        "= 1/m Σ (max(z, 0) − z y + ln(1 + e^(−|z|)))",
        lambda z, y, _: -(y * math.log(sigma(z)) + (1 - y) * math.log(1 - sigma(z))),
        lambda z, y, _: max(z, 0) - z * y + math.log(1 + math.exp(-abs(z))),
    ),
]

GRADIENTS = [
    gradients(
        losses.mse_backward,
        losses.mse_forward,
        "dZ = 2/m (Z − Y), where m is the number of entries",
        lambda z, y, _: 2 * (z - y),
        lambda Z, Y, _: ((Z - Y) ** 2).sum(),
    ),
    gradients(
        losses.mae_backward,
        losses.mae_forward,
        "dZ = 1/m sign(Z − Y), where m is the number of entries",
        lambda z, y, _: (z > y) - (z < y),
        lambda Z, Y, _: np.where(Z.real > Y, Z - Y, Y - Z).sum(),
    ),
    gradients(
        losses.huber_backward,
        losses.huber_forward,
        "dZ = 1/m C, where C is Z − Y cut off at ±δ, and m the number of entries",
        lambda z, y, delta: max(-delta, min(z - y, delta)),
        huber_complex,
        option="delta",
    ),
    gradients(
        losses.binary_cross_entropy_with_logits_backward,
        losses.binary_cross_entropy_with_logits_forward,
        "dZ = 1/m (σ(Z) − Y), where m is the number of entries",
        lambda z, y, _: sigma(z) - y,
        yes_or_no,
    ),
]


def labeled(rng: Generator) -> Iterator[tuple[Array, Labels]]:
    """Yield a hundred batches of logits and class ids."""
    for _ in range(100):
        n, k = rng.integers(1, 5, size=2)
        yield rng.normal(scale=3, size=(n, k)), rng.integers(k, size=n)


def log_softmax(Z: Any) -> Any:
    return Z - np.log(np.exp(Z).sum(axis=1, keepdims=True))


@states(
    classes.cross_entropy_forward,
    "loss = −1/n Σ_i ln p_i,y_i, where ln p = z − m − ln Σ_l e^(z_l − m) and m = max z, row by row",
)
def cross_entropy_forward(rng: Generator) -> Pairs:
    for Z, y in labeled(rng):
        loss, _ = losses.cross_entropy_forward(Z, y)
        total = shifted = 0.0
        for row, label in zip(Z.tolist(), y, strict=True):
            total += math.log(math.exp(row[label]) / math.fsum(map(math.exp, row)))
            rest = math.fsum(math.exp(logit - max(row)) for logit in row)
            shifted += row[label] - max(row) - math.log(rest)
        yield loss, -total / len(y)
        yield loss, -shifted / len(y)
    for label in (0, 1):
        loss, _ = losses.cross_entropy_forward(np.array([[1000.0, 0.0]]), np.array([label]))
        yield loss, 1000.0 * label


@states(
    classes.cross_entropy_backward,
    "dZ = 1/n (P − Y), where row i of Y holds a 1 in column y_i and 0 elsewhere",
)
def cross_entropy_backward(rng: Generator) -> Pairs:
    for Z, y in labeled(rng):
        n, k = Z.shape
        dZ = losses.cross_entropy_backward(losses.cross_entropy_forward(Z, y)[1])
        Y = np.array([[float(j == label) for j in range(k)] for label in y])
        yield dZ, (np.exp(log_softmax(Z)) - Y) / n
        yield dZ, gradient(lambda X, Y: -(Y * log_softmax(X)).sum(), Z, Y) / n


def weighted(rng: Generator) -> Iterator[tuple[Array, Array, float, tuple[float, Any]]]:
    """Yield logits, targets t_ij and c as the docstring says, and what the forward pass returns."""
    for Z, y in labeled(rng):
        n, k = Z.shape
        w, epsilon = rng.uniform(0.1, 3, size=(k,)), rng.uniform()
        counts = [True] + [bool(rng.integers(2)) for _ in range(n - 1)]
        T = np.zeros((n, k))
        for i, j in np.ndindex(n, k):
            if counts[i]:
                T[i, j] = w[j] * ((1 - epsilon) * (j == y[i]) + epsilon / k)
        c = math.fsum(w[y[i]] for i in range(n) if counts[i])
        labels = np.where(counts, y, -1)
        for reduction, divisor in [("mean", c), ("sum", 1.0)]:
            yield (
                Z,
                T,
                divisor,
                losses.weighted_cross_entropy_forward(
                    Z,
                    labels,
                    weight=w,
                    ignore_index=-1,
                    label_smoothing=epsilon,
                    reduction=reduction,
                ),
            )


@states(
    classes.weighted_cross_entropy_forward,
    "loss = −1/c Σ_i Σ_j t_ij ln p_ij, where t_ij = w_j ((1 − ε) [j = y_i] + ε/k) in the rows that "
    "count, t_ij = 0 in the others, and c = Σ_i w_y_i over the rows that count; c = 1 for a sum",
)
def weighted_cross_entropy_forward(rng: Generator) -> Pairs:
    for Z, T, c, (loss, _) in weighted(rng):
        yield loss, -np.einsum("ij,ij->", T, log_softmax(Z)) / c


@states(classes.weighted_cross_entropy_backward, "dz_ij = 1/c (p_ij Σ_l t_il − t_ij)")
def weighted_cross_entropy_backward(rng: Generator) -> Pairs:
    for Z, T, c, (_, cache) in weighted(rng):
        dZ = losses.weighted_cross_entropy_backward(cache)
        yield dZ, (np.einsum("ij,il->ij", np.exp(log_softmax(Z)), T) - T) / c
        yield dZ, gradient(lambda X, T: -(T * log_softmax(X)).sum(), Z, T) / c


@states(
    losses.with_options,
    "For a sum, loss = m · mean and dZ = m · dZ of the mean, where m is what the mean divides by",
)
def with_options(rng: Generator) -> Pairs:
    regressions = [losses.mse, losses.mae, losses.huber, losses.binary_cross_entropy_with_logits]
    for Z, Y in pairs(rng):
        for loss in regressions:
            yield from _sum_and_mean(loss, Z, Y, Z.size)
    for Z, y in labeled(rng):
        w = rng.uniform(0.1, 3, size=Z.shape[1:])
        yield from _sum_and_mean(losses.cross_entropy, Z, y, len(y))
        yield from _sum_and_mean(
            losses.weighted_cross_entropy, Z, y, math.fsum(w[label] for label in y), weight=w
        )


def _sum_and_mean(loss: losses.Loss, Z: Array, Y: Any, m: float, **options: Any) -> Pairs:
    forward, backward = losses.with_options(loss, reduction="sum", **options)
    total, cache = forward(Z, Y)
    mean, mean_cache = losses.with_options(loss, **options)[0](Z, Y)
    yield total, m * mean
    yield backward(cache), m * loss[1](mean_cache)


@states(penalties.l2_penalty_forward, "loss = (λ/2) Σ_ij W_ij²")
def l2_penalty_forward(rng: Generator) -> Pairs:
    for W, _ in pairs(rng):
        cost = rng.uniform()
        loss, _ = penalties.l2_penalty_forward(W, weight_decay=cost)
        yield loss, cost / 2 * math.fsum(weight**2 for weight in W.flat)


@states(penalties.l2_penalty_backward, "dW = λ W")
def l2_penalty_backward(rng: Generator) -> Pairs:
    for W, _ in pairs(rng):
        cost = rng.uniform()
        dW = penalties.l2_penalty_backward(penalties.l2_penalty_forward(W, weight_decay=cost)[1])
        yield dW, np.array([[cost * weight for weight in row] for row in W.tolist()])
        yield dW, gradient(lambda X, cost: cost / 2 * (X**2).sum(), W, cost)
