"""Proofs of what the docstrings of normalization state, number by number."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from dlbook.scratch import layers, normalization
from dlbook.scratch.checks import Array
from tests.proof import Pairs
from tests.statements import Statement, states, that
from tests.statements.formulas import gradient

EPS = 1e-5
Column = Callable[..., Array]


class Drawn(NamedTuple):
    X: Array
    gamma: Array
    beta: Array
    mean: Array
    variance: Array


def drawn(rng: Generator, *, images: bool | None = None) -> Iterator[Drawn]:
    """Draw rows and images in turn, or one kind."""
    for i in range(100):
        n, d, h, w = rng.integers(2, 5, size=4)
        shape = (n, d, h, w) if (i % 2 if images is None else images) else (n, d)
        X = rng.normal(1, 2, size=shape)
        gamma, beta, mean = rng.normal(size=(3, d))
        yield Drawn(X, gamma, beta, mean, rng.uniform(0, 3, size=d))


def rows(X: Array) -> Array:
    """Lay images out as rows: every pixel is an example. A copy."""
    return np.array([X[i, :, *place] for i, *place in np.ndindex(X.shape[0], *X.shape[2:])])


def normalized(x: Sequence[float]) -> tuple[Array, float]:
    """Normalize the numbers of one column or row; return them and the deviation."""
    mean = math.fsum(x) / len(x)
    std = math.sqrt(math.fsum((a - mean) ** 2 for a in x) / len(x) + EPS)
    return np.array([(a - mean) / std for a in x]), std


def normalized_backward(dx_hat: Sequence[float], x: Sequence[float]) -> Array:
    x_hat, std = normalized(x)
    shift = math.fsum(dx_hat) / len(x)
    scale = math.fsum(d * a for d, a in zip(dx_hat, x_hat, strict=True)) / len(x)
    pairs = zip(dx_hat, x_hat, strict=True)
    return np.array([(d - shift - a * scale) / std for d, a in pairs])


def by_column(function: Column, *arrays: Array) -> Array:
    return np.array([function(*columns) for columns in zip(*(A.T for A in arrays), strict=True)]).T


def by_row(function: Column, *arrays: Array) -> Array:
    return np.array([function(*row) for row in zip(*arrays, strict=True)])


def hat(x: Sequence[float]) -> Array:
    return normalized(x)[0]


def fixed(d: Drawn) -> Array:
    return np.array(
        [
            [(a - m) / math.sqrt(v + EPS) for a, m, v in zip(row, d.mean, d.variance, strict=True)]
            for row in rows(d.X)
        ]
    )


def affine(X_hat: Array, d: Drawn) -> Array:
    Z: Array = np.einsum("ij,j->ij", X_hat, d.gamma) + d.beta
    return Z


@states(
    normalization.batch_norm_forward,
    "X̂_ij = (X_ij − μ_j) / √(σ²_j + ε), with the mean μ and the variance σ² of the batch, and "
    "Z_ij = γ_j X̂_ij + β_j",
)
def batch_norm(rng: Generator) -> Pairs:
    for d in drawn(rng):
        Z, (X_hat, *_) = normalization.batch_norm_forward(d.X, d.gamma, d.beta, eps=EPS)
        expected = by_column(hat, rows(d.X))
        yield rows(X_hat), expected
        yield rows(Z), affine(expected, d)


@states(
    normalization.layer_norm_forward,
    "X̂_ij = (X_ij − μ_i) / √(σ²_i + ε), with the mean μ and the variance σ² of the row, and "
    "Z_ij = γ_j X̂_ij + β_j",
)
def layer_norm(rng: Generator) -> Pairs:
    for d in drawn(rng, images=False):
        Z, (X_hat, *_) = normalization.layer_norm_forward(d.X, d.gamma, d.beta, eps=EPS)
        expected = by_row(hat, d.X)
        yield X_hat, expected
        yield Z, affine(expected, d)


@states(
    normalization.fixed_norm_forward,
    "X̂_ij = (X_ij − μ_j) / √(σ²_j + ε) and Z_ij = γ_j X̂_ij + β_j",
)
def fixed_norm(rng: Generator) -> Pairs:
    for d in drawn(rng):
        Z, (X_hat, *_) = normalization.fixed_norm_forward(*d, eps=EPS)
        yield rows(X_hat), fixed(d)
        yield rows(Z), affine(fixed(d), d)


@states(
    normalization.batch_norm_backward,
    "dX̂ = γ dZ, and dX = (dX̂ − mean(dX̂) − X̂ mean(dX̂ ∘ X̂)) / √(σ² + ε), where the means are those "
    "of a feature over the batch; dγ_j = Σ_i dZ_ij X̂_ij and dβ_j = Σ_i dZ_ij",
)
def batch_norm_backward(rng: Generator) -> Pairs:
    for d in drawn(rng):
        Z, cache = normalization.batch_norm_forward(d.X, d.gamma, d.beta, eps=EPS)
        dZ = rng.normal(size=Z.shape)
        dX, *parameters = normalization.batch_norm_backward(dZ, cache)
        X, G = rows(d.X), rows(dZ)
        yield rows(dX), by_column(normalized_backward, G * d.gamma, X)
        yield from of_parameters(parameters, G, by_column(hat, X))


@states(
    normalization.layer_norm_backward,
    "dX̂ = γ dZ, and dX = (dX̂ − mean(dX̂) − X̂ mean(dX̂ ∘ X̂)) / √(σ² + ε), where the means are those "
    "of a row; dγ_j = Σ_i dZ_ij X̂_ij and dβ_j = Σ_i dZ_ij",
)
def layer_norm_backward(rng: Generator) -> Pairs:
    for d in drawn(rng, images=False):
        Z, cache = normalization.layer_norm_forward(d.X, d.gamma, d.beta, eps=EPS)
        dZ = rng.normal(size=Z.shape)
        dX, *parameters = normalization.layer_norm_backward(dZ, cache)
        yield dX, by_row(normalized_backward, dZ * d.gamma, d.X)
        yield from of_parameters(parameters, dZ, by_row(hat, d.X))


@states(
    normalization.fixed_norm_backward,
    "dX = γ dZ / √(σ² + ε), dγ_j = Σ_i dZ_ij X̂_ij and dβ_j = Σ_i dZ_ij",
)
def fixed_norm_backward(rng: Generator) -> Pairs:
    for d in drawn(rng):
        Z, cache = normalization.fixed_norm_forward(*d, eps=EPS)
        dZ = rng.normal(size=Z.shape)
        dX, *parameters = normalization.fixed_norm_backward(dZ, cache)
        slopes = [g / math.sqrt(v + EPS) for g, v in zip(d.gamma, d.variance, strict=True)]
        yield rows(dX), np.einsum("j,ij->ij", slopes, rows(dZ))
        yield from of_parameters(parameters, rows(dZ), fixed(d))


def of_parameters(found: list[Array], dZ: Array, X_hat: Array) -> Pairs:
    dgamma, dbeta = found
    yield dgamma, np.einsum("ij,ij->j", dZ, X_hat)
    yield dbeta, np.einsum("ij->j", dZ)


@states(
    normalization.running_statistics,
    "m ← (1 − α) m + α μ and v ← (1 − α) v + α s², with the mean μ_j = (1/n) Σ_i X_ij of the batch "
    "and its unbiased variance s²_j = (1/(n − 1)) Σ_i (X_ij − μ_j)²",
)
def running_statistics(rng: Generator) -> Pairs:
    for d in drawn(rng):
        share = float(rng.uniform(0, 0.99))
        found = normalization.running_statistics(d.X, d.mean, d.variance, momentum=share)
        columns = rows(d.X).T.tolist()
        for now, before, of_batch in (
            (found[0], d.mean, statistics.fmean),
            (found[1], d.variance, statistics.variance),
        ):
            yield now, before + share * (np.array([of_batch(x) for x in columns]) - before)


def normalizes(kind: Callable[..., Any], text: str, *, images: bool) -> Statement:
    """Make a proof of a layer of batch norm, in training and out of it."""

    def prove(rng: Generator) -> Pairs:
        for d in drawn(rng, images=images):
            layer = kind(d.X.shape[1], eps=EPS, dtype=np.float64)
            layer.gamma[:], layer.beta[:] = d.gamma, d.beta
            expected = affine(by_column(hat, rows(d.X)), d)
            yield rows(layer.forward(d.X, training=True)), expected
            layer.running_mean[:], layer.running_var[:] = d.mean, d.variance
            yield rows(layer.forward(d.X)), affine(fixed(d), d)

    return states(kind, text)(prove)


LAYERS = [
    normalizes(
        layers.BatchNorm1d,
        "Z_ij = γ_j (X_ij − μ_j) / √(σ²_j + ε) + β_j, in training with mean and variance of "
        "the batch, otherwise with the running ones",
        images=False,
    ),
    normalizes(
        layers.BatchNorm2d,
        "Z_ijyx = γ_j (X_ijyx − μ_j) / √(σ²_j + ε) + β_j, in training with mean and variance of "
        "the batch, otherwise with the running ones",
        images=True,
    ),
]


@states(layers.LayerNorm, "Z_ij = γ_j (X_ij − μ_i) / √(σ²_i + ε) + β_j")
def layer_norm_layer(rng: Generator) -> Pairs:
    for d in drawn(rng, images=False):
        layer = layers.LayerNorm(d.X.shape[1], eps=EPS, dtype=np.float64)
        layer.gamma[:], layer.beta[:] = d.gamma, d.beta
        yield layer.forward(d.X, training=True), affine(by_row(hat, d.X), d)


def kept(rng: Generator, forward: Callable[..., Any], images: bool | None = None) -> Pairs:
    """Compare each part of the cache with what it does to what it is multiplied with."""
    for d in drawn(rng, images=images):
        statistics_given = d[3:] if forward is normalization.fixed_norm_forward else ()
        _, (X_hat, gamma, std) = forward(d.X, d.gamma, d.beta, *statistics_given, eps=EPS)
        by_rows = forward is normalization.layer_norm_forward
        expected = (
            fixed(d) if statistics_given else (by_row if by_rows else by_column)(hat, rows(d.X))
        )
        yield rows(X_hat), expected
        yield rows(gamma * X_hat), np.einsum("ij,j->ij", expected, d.gamma)
        if statistics_given:
            mean = d.mean
        else:
            mean = rows(d.X).mean(axis=1, keepdims=True) if by_rows else rows(d.X).mean(axis=0)
        yield rows(X_hat * std) + mean, rows(d.X)


MULTIPLIED = "X̂, γ itself, and √(σ² + ε), the two last as they are multiplied with X̂."
KEPT = [
    states(normalization.batch_norm_forward, MULTIPLIED)(
        lambda rng: kept(rng, normalization.batch_norm_forward)
    ),
    states(normalization.fixed_norm_forward, MULTIPLIED)(
        lambda rng: kept(rng, normalization.fixed_norm_forward)
    ),
    states(normalization.layer_norm_forward, "X̂, γ itself, and √(σ² + ε).")(
        lambda rng: kept(rng, normalization.layer_norm_forward, images=False)
    ),
]


@states(
    normalization.batch_norm_forward,
    "The variance is the mean of squared deviations, divided by the number of entries.",
)
def variance(rng: Generator) -> Pairs:
    for d in drawn(rng):
        _, (_, _, std) = normalization.batch_norm_forward(d.X, d.gamma, d.beta, eps=EPS)
        columns = rows(d.X).T.tolist()
        yield (std**2).ravel() - EPS, [statistics.pvariance(column) for column in columns]


@states(normalization.batch_norm_forward, "Taken as E[x²] − E[x]² it could come out negative.")
def no_shortcut(rng: Generator) -> Pairs:
    negative = 0
    for _ in range(100):
        X = rng.normal(1000, 0.1, size=(50, 1)).astype(np.float32)
        shortcut = (X**2).mean(dtype=np.float32) - X.mean(dtype=np.float32) ** 2
        negative += bool(shortcut < 0)
        ones = np.ones(1, np.float32)
        _, (_, _, std) = normalization.batch_norm_forward(X, ones, ones, eps=EPS)
        spread = statistics.pstdev(X[:, 0].astype(float).tolist())
        yield that(abs(float(std.item()) / math.sqrt(spread**2 + EPS) - 1) < 1e-3)
    yield that(negative > 0)


@states(
    normalization.batch_norm_backward,
    "Z would not notice a shift of the batch, nor, but for ε, a scaling: hence Σ_i dX_ij = 0, and "
    "Σ_i dX_ij X_ij = 0 for ε = 0.",
)
def shifts_and_scalings(rng: Generator) -> Pairs:
    for d in drawn(rng):
        dZ = rng.normal(size=d.X.shape)
        for eps in (EPS, 1e-300):
            Z, cache = normalization.batch_norm_forward(d.X, d.gamma, d.beta, eps=eps)
            dX, *_ = normalization.batch_norm_backward(dZ, cache)
            yield [math.fsum(column) for column in rows(dX).T], np.zeros(len(d.gamma))
        yield [math.fsum(c) for c in (rows(dX) * rows(d.X)).T], np.zeros(len(d.gamma))
        scaled, _ = normalization.batch_norm_forward(3 * d.X - 5, d.gamma, d.beta, eps=1e-300)
        yield scaled, Z


@states(
    normalization._normalize_backward,
    "Carry a gradient back through X̂ = (X − μ) / √(σ² + ε).",
)
def normalize_backward(rng: Generator) -> Pairs:
    """The derivatives are complex steps of the formula."""
    for d in drawn(rng, images=False):
        X, D = d.X, rng.normal(size=d.X.shape)

        def weighted(X: Any, D: Array = D) -> Any:
            deviations = X - X.mean(axis=0)
            return (D * deviations / np.sqrt((deviations**2).mean(axis=0) + EPS)).sum()

        std = np.sqrt(X.var(axis=0, keepdims=True) + EPS)
        found = normalization._normalize_backward(D, (X - X.mean(axis=0)) / std, std, 0)
        yield found, gradient(weighted, X)
