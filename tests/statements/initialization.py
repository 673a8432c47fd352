"""Proofs of what the docstrings of initialization state.

Weights are random: what is drawn is compared with bounds that a right rule crosses less than once
in a million times, and the seed is fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.random import Generator

from dlbook.scratch import initialization, layers
from dlbook.scratch.activations import leaky_relu, relu
from dlbook.scratch.checks import Array
from tests.proof import Pairs
from tests.statements import Statement, states, that

Width = Callable[[int, int, float], float]  # of d_in, d_out and the option


def drawn(
    rule: Callable[..., Any], text: str, option: str, width: Width, alike: Callable[[Array], bool]
) -> Statement:
    """Prove that weights over their ``width`` are distributed as ``alike`` says, each and all."""

    @states(rule, text)
    def prove(rng: Generator) -> Pairs:
        everything = []
        for _ in range(100):
            d_in, d_out = (int(d) for d in rng.integers(20, 90, size=2))
            given = rng.uniform(0.1, 2)
            W = rule(d_in, d_out, rng=rng, dtype=np.float64, **{option: given})
            yield np.shape(W), (d_in, d_out)
            scaled = W / width(d_in, d_out, given)
            yield float(alike(scaled)), 1.0
            everything.append(scaled.ravel())
        yield float(alike(np.concatenate(everything))), 1.0

    return prove


def standard_normal(W: Array) -> bool:
    """Tell whether the mean, the spread and the shape are those of N(0, 1)."""
    spread = abs(W.std() - 1) <= 5 / math.sqrt(2 * W.size)
    return bool(abs(W.mean()) <= 5 / math.sqrt(W.size) and spread and _follows(W, _normal(W)))


def uniform(W: Array) -> bool:
    """Tell whether the ends and the shape are those of U(−1, 1)."""
    near = 1 - 30 / W.size  # the largest of N numbers lies below this in e⁻¹⁵ of all draws
    ends = near <= W.max() <= 1 + 1e-12 and near <= -W.min() <= 1 + 1e-12
    return bool(ends and _follows(W, (W + 1) / 2))


def _normal(W: Array) -> Array:
    return np.array([math.erfc(-weight / math.sqrt(2)) / 2 for weight in W.flat])


def _follows(W: Array, probabilities: Array) -> bool:
    """Apply the test of Kolmogorov and Smirnov."""
    ranks = np.arange(1, W.size + 1) / W.size
    distance = np.abs(np.sort(probabilities.ravel()) - ranks).max()
    return bool(distance * math.sqrt(W.size) <= 2.8)  # 2 e^(−2 · 2.8²) is 3·10⁻⁷


PROOFS = [
    drawn(
        initialization.normal,
        "w ~ N(0, s²) with s = ``std``",
        "std",
        lambda d_in, d_out, std: std,
        standard_normal,
    ),
    drawn(
        initialization.lecun_normal,
        "w ~ N(0, s²) with s = g / √d_in, where g is the gain",
        "gain",
        lambda d_in, d_out, g: g / d_in**0.5,
        standard_normal,
    ),
    drawn(
        initialization.lecun_uniform,
        "w ~ U(−a, a) with a = g √(3 / d_in), where g is the gain",
        "gain",
        lambda d_in, d_out, g: g * (3 / d_in) ** 0.5,
        uniform,
    ),
    drawn(
        initialization.xavier_normal,
        "w ~ N(0, s²) with s = g √(2 / (d_in + d_out)), where g is the gain",
        "gain",
        lambda d_in, d_out, g: g * (2 / (d_in + d_out)) ** 0.5,
        standard_normal,
    ),
    drawn(
        initialization.xavier_uniform,
        "w ~ U(−a, a) with a = g √(6 / (d_in + d_out)), where g is the gain",
        "gain",
        lambda d_in, d_out, g: g * (6 / (d_in + d_out)) ** 0.5,
        uniform,
    ),
    drawn(
        initialization.he_normal,
        "w ~ N(0, σ²) with σ = √(2 / ((1 + s²) d_in)), where s is the slope below 0",
        "negative_slope",
        lambda d_in, d_out, s: (2 / ((1 + s**2) * d_in)) ** 0.5,
        standard_normal,
    ),
    drawn(
        initialization.he_uniform,
        "w ~ U(−a, a) with a = √(6 / ((1 + s²) d_in)), where s is the slope below 0",
        "negative_slope",
        lambda d_in, d_out, s: (6 / ((1 + s**2) * d_in)) ** 0.5,
        uniform,
    ),
]


@states(initialization.zeros, "w = 0")
def zeros(rng: Generator) -> Pairs:
    for d_in, d_out in rng.integers(1, 6, size=(100, 2)).tolist():
        yield initialization.zeros(d_in, d_out, rng=rng), [[0.0] * d_out] * d_in


@states(
    initialization.calculate_gain,
    "g = 1 for linear and sigmoid, 5/3 for tanh, √2 for ReLU, √(2 / (1 + s²)) for leaky ReLU",
)
def calculate_gain(rng: Generator) -> Pairs:
    gain = initialization.calculate_gain
    for s in rng.uniform(0, 3, size=30):
        yield gain("linear"), 1
        yield gain("sigmoid"), 1
        yield 3 * gain("tanh"), 5
        yield gain("relu") ** 2, 2
        yield gain("leaky_relu", negative_slope=s) ** 2 * (1 + s * s), 2


def spread(
    rule: Callable[..., Any], text: str, option: str, variance: Callable[[int, int, float], float]
) -> Statement:
    """Prove the mean and the variance; bounds are those of a normal distribution, or wider."""

    @states(rule, text)
    def prove(rng: Generator) -> Pairs:
        for _ in range(100):
            d_in, d_out = (int(d) for d in rng.integers(20, 90, size=2))
            given = rng.uniform(0.1, 2)
            W = rule(d_in, d_out, rng=rng, dtype=np.float64, **{option: given})
            scaled = W / math.sqrt(variance(d_in, d_out, given))
            yield that(abs(scaled.mean()) <= 5 / math.sqrt(W.size))
            yield that(abs((scaled**2).mean() - 1) <= 5 * math.sqrt(2 / W.size))
            if "a²" in text:
                yield that(0.9 <= (scaled**2).max() / 3 <= 1 + 1e-12)  # of the end a: a² / 3

    return prove


VARIANCES = [
    spread(
        initialization.normal,
        "Weights of mean 0 and variance ``std``².",
        "std",
        lambda d_in, d_out, std: std**2,
    ),
    spread(
        initialization.lecun_normal,
        "Weights of mean 0 and variance g² / d_in.",
        "gain",
        lambda d_in, d_out, g: g**2 / d_in,
    ),
    spread(
        initialization.lecun_uniform,
        "Weights of mean 0 and variance a² / 3 = g² / d_in.",
        "gain",
        lambda d_in, d_out, g: g**2 / d_in,
    ),
    spread(
        initialization.xavier_normal,
        "Weights of mean 0 and variance 2 g² / (d_in + d_out).",
        "gain",
        lambda d_in, d_out, g: 2 * g**2 / (d_in + d_out),
    ),
    spread(
        initialization.xavier_uniform,
        "Weights of mean 0 and variance a² / 3 = 2 g² / (d_in + d_out).",
        "gain",
        lambda d_in, d_out, g: 2 * g**2 / (d_in + d_out),
    ),
    spread(
        initialization.he_normal,
        "Weights of mean 0 and variance 2 / ((1 + s²) d_in).",
        "negative_slope",
        lambda d_in, d_out, s: 2 / ((1 + s**2) * d_in),
    ),
    spread(
        initialization.he_uniform,
        "Weights of mean 0 and variance a² / 3 = 2 / ((1 + s²) d_in).",
        "negative_slope",
        lambda d_in, d_out, s: 2 / ((1 + s**2) * d_in),
    ),
]


def same_spread(ours: Array, theirs: torch.Tensor) -> tuple[float, float]:
    """Compare two samples' mean squares, within five deviations of either."""
    mine, yours = float((ours**2).mean()), float((theirs.double() ** 2).mean())
    return that(abs(mine / yours - 1) <= 5 * (2 / ours.size + 2 / theirs.numel()) ** 0.5)


@states(
    initialization.lecun_normal,
    "``torch.nn.init.kaiming_normal_`` with the nonlinearity that the gain is of; with a gain of "
    "√2 it is ``he_normal``.",
)
def lecun_as_he(rng: Generator) -> Pairs:
    draws = torch.Generator().manual_seed(0)
    for seed in range(50):
        d_in, d_out = (int(d) for d in rng.integers(20, 90, size=2))
        one, other = np.random.default_rng(seed), np.random.default_rng(seed)
        W = initialization.lecun_normal(d_in, d_out, gain=math.sqrt(2), rng=one, dtype=np.float64)
        yield W, initialization.he_normal(d_in, d_out, rng=other, dtype=np.float64)
        for name in ("linear", "tanh", "relu"):
            gain = initialization.calculate_gain(name)
            W = initialization.lecun_normal(d_in, d_out, gain=gain, rng=rng, dtype=np.float64)
            tensor = torch.empty(d_out, d_in)
            torch.nn.init.kaiming_normal_(tensor, nonlinearity=name, generator=draws)
            yield same_spread(W, tensor)


def linear_of_torch(d_in: int, d_out: int, seed: int) -> Array:
    """Return the weights that ``torch.nn.Linear`` starts with; it draws from the global state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights: Array = torch.nn.Linear(d_in, d_out).weight.detach().double().numpy()
    return weights


@states(
    initialization.lecun_uniform,
    "The weights of ``torch.nn.Linear`` start with a gain of √(1/3).",
)
def gain_of_torch(rng: Generator) -> Pairs:
    for d_in, d_out in rng.integers(30, 90, size=(50, 2)).tolist():
        W = initialization.lecun_uniform(d_in, d_out, gain=(1 / 3) ** 0.5, rng=rng)
        theirs = linear_of_torch(d_in, d_out, seed=int(rng.integers(2**31)))
        yield that(uniform(W.astype(float) * d_in**0.5 * (1 - 1e-6)))
        yield that(uniform(theirs * d_in**0.5 * (1 - 1e-6)))


@states(initialization.he_uniform, "``torch.nn.Linear`` starts narrower, with a = √(1 / d_in).")
def narrower_in_torch(rng: Generator) -> Pairs:
    for d_in, d_out in rng.integers(30, 90, size=(50, 2)).tolist():
        theirs = linear_of_torch(d_in, d_out, seed=int(rng.integers(2**31)))
        yield that(uniform(theirs / (1 / d_in) ** 0.5 * (1 - 1e-6)))
        W = initialization.he_uniform(d_in, d_out, rng=rng)
        yield that(np.abs(theirs).max() < np.abs(W).max())


@states(
    initialization.xavier_normal,
    "The sum of both fans is a compromise: 1 / d_in keeps the forward signal's variance, 1 / d_out "
    "the gradient's.",
)
def compromise(rng: Generator) -> Pairs:
    """Variances of many sums are within a tenth of what they were, or are not."""
    for d_in, d_out in [(200, 300), (300, 200)] * 25:
        X, dZ = rng.normal(size=(200, d_in)), rng.normal(size=(200, d_out))
        W = initialization.normal(d_in, d_out, std=d_in**-0.5, rng=rng, dtype=np.float64)
        yield that(abs((X @ W).var() - 1) < 0.1)
        W = initialization.normal(d_in, d_out, std=d_out**-0.5, rng=rng, dtype=np.float64)
        yield that(abs((dZ @ W.T).var() - 1) < 0.1)
        W = initialization.xavier_normal(d_in, d_out, rng=rng, dtype=np.float64)
        both = sorted([(X @ W).var(), (dZ @ W.T).var()])
        yield that(both[0] < 0.9 and both[1] > 1.1)


@states(
    initialization.calculate_gain,
    "The gains of ReLU and leaky ReLU keep the mean square of the signal; the 5/3 of tanh is a "
    "rule of thumb.",
)
def mean_squares(rng: Generator) -> Pairs:
    """Of a standard normal signal, by Gauss and Hermite's rule, which is exact for squares."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / math.sqrt(2 * math.pi)
    gain = initialization.calculate_gain
    for s in rng.uniform(0, 2, size=50):
        for name, A in [("relu", relu(nodes)), ("leaky_relu", leaky_relu(nodes, negative_slope=s))]:
            yield gain(name, negative_slope=s) ** 2 * math.fsum(weights * A**2), 1.0
    of_tanh = gain("tanh") ** 2 * math.fsum(weights * np.tanh(nodes) ** 2)
    yield that(abs(of_tanh - 1) > 0.05)
    yield gain("tanh"), 5 / 3


@states(
    layers.Conv2d,
    "Xavier's also counts the outputs that an input has a share in, of which ``torch.nn.init`` "
    "takes c_out · size², and this layer c_out.",
)
def filters(rng: Generator) -> Pairs:
    draws = torch.Generator().manual_seed(3)
    for c_in, c_out in rng.integers(15, 30, size=(100, 2)).tolist():
        size = 3
        W = layers.Conv2d(
            c_in, c_out, size, rng=rng, initialization=initialization.xavier_normal
        ).W.astype(float)
        tensor = torch.empty(c_out, c_in, size, size)
        theirs = torch.nn.init.xavier_normal_(tensor, generator=draws).double()
        scaled = W * ((c_in * size**2 + c_out) / 2) ** 0.5
        yield that(abs((scaled**2).mean() - 1) < 5 * (2 / W.size) ** 0.5)
        in_torch = theirs * ((c_in + c_out) * size**2 / 2) ** 0.5
        yield that(abs(float((in_torch**2).mean()) - 1) < 5 * (2 / W.size) ** 0.5)


@states(initialization.he_normal, "The 2 makes up for the half of the signal that ReLU cuts off.")
def half_cut_off(rng: Generator) -> Pairs:
    """The mean square behind ReLU is a half of what it was, and whole again with He's weights."""
    for d_in, d_out in [(300, 200), (200, 300)] * 25:
        Z = rng.normal(size=(200, d_in))
        A = relu(Z)
        yield that(abs((A**2).mean() / (Z**2).mean() - 1 / 2) < 0.05)
        W = initialization.he_normal(d_in, d_out, rng=rng, dtype=np.float64)
        yield that(abs(((A @ W) ** 2).mean() / (Z**2).mean() - 1) < 0.1)
