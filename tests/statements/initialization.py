"""Proofs of what the docstrings of initialization state.

Weights are random: what is drawn is compared with bounds that a right rule crosses less than once
in a million times, and the seed is fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

from dlbook.scratch import initialization
from dlbook.scratch.checks import Array
from tests.proof import Pairs
from tests.statements import Statement, states

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
