"""Proofs of what the docstrings of schedules, of the range test and of reductions state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from dlbook.scratch import layers, losses, optimizers, rates, reductions, schedules
from dlbook.scratch.checks import Array
from tests.proof import Pairs
from tests.statements import states


def half_wave(a: float, b: float, x: float) -> float:
    """Go from a to b, by the half angle: (1 + cos πx) / 2 is cos² πx/2."""
    return a * math.cos(math.pi * x / 2) ** 2 + b * math.sin(math.pi * x / 2) ** 2


@states(schedules.step_decay, "η(t) = η γ^⌊t / s⌋")
def step_decay(rng: Generator) -> Pairs:
    for _ in range(10):
        lr, gamma, every = rng.uniform(), rng.uniform(), int(rng.integers(1, 6))
        rate = lr
        for t in range(15):
            rate *= gamma if t and not t % every else 1
            yield schedules.step_decay(t, lr=lr, step_size=every, gamma=gamma), rate


@states(schedules.exponential, "η(t) = η γᵗ")
def exponential(rng: Generator) -> Pairs:
    for _ in range(100):
        lr, gamma, t = rng.uniform(0.1), rng.uniform(0.1), int(rng.integers(0, 20))
        expected = math.exp(math.log(lr) + t * math.log(gamma))
        yield schedules.exponential(t, lr=lr, gamma=gamma), expected


@states(schedules.cosine, "η(t) = η_min + (η − η_min) (1 + cos(π t / T)) / 2")
def cosine(rng: Generator) -> Pairs:
    for _ in range(100):
        lr, low = rng.uniform(size=2)
        t, T = (int(m) for m in rng.integers(1, 20, size=2))
        yield schedules.cosine(t, lr=lr, T_max=T, eta_min=low), half_wave(lr, low, t / T)


@states(schedules.linear_warmup, "η(t) = η (f + (1 − f) min(t, T) / T)")
def linear_warmup(rng: Generator) -> Pairs:
    for _ in range(100):
        lr, f = rng.uniform(size=2)
        t, T = (int(m) for m in rng.integers(1, 10, size=2))
        rate = schedules.linear_warmup(t, lr=lr, start_factor=f, total_iters=T)
        yield rate, np.interp(t, [0, T], [lr * f, lr])


@states(
    schedules.one_cycle,
    "From a to b, where x runs from 0 to 1: h(a, b, x) = b + (a − b) (1 + cos(π x)) / 2; with the "
    "top at step p = ρ T − 1 and the end at T − 1, η(t) = h(η / d, η, t / p) up to p and "
    "h(η, η / (d f), (t − p) / (T − 1 − p)) after it",
)
def one_cycle(rng: Generator) -> Pairs:
    for _ in range(20):
        T, lr, d, f = int(rng.integers(5, 12)), rng.uniform(), *rng.uniform(1, 30, size=2)
        share = rng.uniform(2 / T, 0.9)
        p = share * T - 1
        for t in range(T):
            rate = schedules.one_cycle(
                t, max_lr=lr, total_steps=T, pct_start=share, div_factor=d, final_div_factor=f
            )
            rising = half_wave(lr / d, lr, t / p)
            falling = half_wave(lr, lr / d / f, (t - p) / (T - 1 - p))
            yield rate, rising if t <= p else falling


class Recorded(optimizers.SGD):
    """Keeps the rate of each step, also of those that a copy makes."""

    rates: ClassVar[list[float]] = []

    def step(self, gradients: Sequence[Array]) -> None:
        self.rates.append(self.lr)
        super().step(gradients)


@states(
    rates.lr_range_test,
    "η(t) = a (b / a)^(t / (s − 1)), from the lowest rate a at step 0 to the highest b at step "
    "s − 1",
)
def lr_range_test(rng: Generator) -> Pairs:
    X, Y = rng.normal(size=(2, 8, 1))
    model = layers.Linear(1, 1, rng=rng, dtype=np.float64)
    sgd = Recorded(model.parameters)
    for _ in range(100):
        (low, high), steps = np.sort(rng.uniform(1e-6, 1e-3, size=2)), int(rng.integers(2, 6))
        found = rates.lr_range_test(
            model, losses.mse, sgd, X, Y, batch_size=8, rng=rng, lowest=low, highest=high,
            steps=steps,
        )  # fmt: skip
        yield found.lr, np.geomspace(low, high, steps)
        yield sgd.rates[-steps:], np.geomspace(low, high, steps)


@states(reductions.column_sum, "s_j = Σ_i 1 · z_ij")
def column_sum(rng: Generator) -> Pairs:
    for _ in range(100):
        Z = rng.normal(size=rng.integers(1, 6, size=2))
        yield reductions.column_sum(Z), [math.fsum(column) for column in Z.T]


@states(reductions.row_sum, "s_i = Σ_j z_ij · 1")
def row_sum(rng: Generator) -> Pairs:
    for _ in range(100):
        Z = rng.normal(size=rng.integers(1, 6, size=2))
        yield reductions.row_sum(Z), [[math.fsum(row)] for row in Z]
