"""Proofs of what the docstrings of optimizers, their updates and clipping state.

Each rule is written here for one number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

from dlbook.scratch import clipping, neuron, optimizers, updates
from dlbook.scratch.checks import Array
from tests.proof import Pairs
from tests.statements import Statement, states

Rule = Callable[..., tuple[float, ...]]  # (w, g, *state, t) -> (w, *state) after the step
LR, EPS, DECAY, MU, ALPHA, BETAS = 0.3, 1e-3, 0.2, 0.7, 0.8, (0.6, 0.9)


def sgd(w: float, g: float, v: float, t: int, *, mu: float = 0.0) -> tuple[float, ...]:
    v = mu * v + g
    return w - LR * v, v


def nesterov(w: float, g: float, v: float, t: int) -> tuple[float, ...]:
    v = MU * v + g
    return w - LR * (g + MU * v), v


def adagrad(w: float, g: float, s: float, t: int) -> tuple[float, ...]:
    s += g**2
    return w - LR * g / (math.sqrt(s) + EPS), s


def rmsprop(w: float, g: float, v: float, u: float, t: int, *, mu: float) -> tuple[float, ...]:
    v = ALPHA * v + (1 - ALPHA) * g**2
    u = mu * u + g / (math.sqrt(v) + EPS)
    return w - LR * u, v, u


def adam(w: float, g: float, m: float, v: float, t: int) -> tuple[float, ...]:
    m = BETAS[0] * m + (1 - BETAS[0]) * g
    v = BETAS[1] * v + (1 - BETAS[1]) * g**2
    m_hat, v_hat = m / (1 - BETAS[0] ** t), v / (1 - BETAS[1] ** t)
    return w - LR * m_hat / (math.sqrt(v_hat) + EPS), m, v


def adamw(w: float, g: float, m: float, v: float, t: int) -> tuple[float, ...]:
    return adam(w - LR * DECAY * w, g, m, v, t)


def decayed(rule: Rule) -> Rule:
    """Take g + λ w for g."""
    return lambda w, g, *rest: rule(w, g + DECAY * w, *rest)


def applied(rule: Rule, *arrays: Array, t: int) -> list[Array]:
    """Apply the rule of one number to each."""
    found = [rule(*numbers, t) for numbers in zip(*(a.tolist() for a in arrays), strict=True)]
    return [np.array(column) for column in zip(*found, strict=True)]


def updated(
    update: Callable[..., tuple[Array, ...]],
    text: str,
    *variants: tuple[Rule, dict[str, Any]],
    states_of: int,
    counts: bool = False,
) -> Statement:
    """Make a proof of one step from any state."""

    def prove(rng: Generator) -> Pairs:
        for _ in range(50):
            w, g = rng.normal(size=(2, 4))
            state = rng.uniform(0, 2, size=(states_of, 4))
            t = int(rng.integers(1, 9))
            for rule, options in variants:
                steps = {"t": t} if counts else {}
                found = update(w, g, *state, lr=LR, weight_decay=DECAY, **steps, **options)
                yield from zip(found, applied(rule, w, g, *state, t=t), strict=True)

    return states(update, text)(prove)


def steps(
    kind: Callable[..., optimizers.Optimizer],
    text: str,
    *variants: tuple[Rule, dict[str, Any]],
    states_of: int,
) -> Statement:
    """Make a proof of steps that follow each other, from a state of 0."""

    def prove(rng: Generator) -> Pairs:
        for rule, options in variants * 10:
            start = rng.normal(size=6)
            parameters = [start[:4].reshape(2, 2).copy(), start[4:].copy()]
            optimizer = kind(parameters, LR, **options)
            expected = [start, *np.zeros((states_of, 6))]
            for t in range(1, 11):
                g = rng.normal(size=6)
                optimizer.step([g[:4].reshape(2, 2), g[4:]])
                expected = applied(rule, expected[0], g, *expected[1:], t=t)
                yield np.concatenate([p.ravel() for p in parameters]), expected[0]

    return states(kind, text)(prove)


OF_RMSPROP = {"alpha": ALPHA, "eps": EPS}
OF_ADAM: dict[str, Any] = {"betas": BETAS, "eps": EPS}

UPDATES = [
    updated(
        updates.sgd_update,
        "g ← g + λ w, v ← μ v + g, and w ← w − η v, or with Nesterov's momentum "
        "w ← w − η (g + μ v)",
        (decayed(partial(sgd, mu=MU)), {"momentum": MU}),
        (decayed(nesterov), {"momentum": MU, "nesterov": True}),
        states_of=1,
    ),
    updated(
        updates.adagrad_update,
        "g ← g + λ w, s ← s + g², and w ← w − η g / (√s + ε)",
        (decayed(adagrad), {"eps": EPS}),
        states_of=1,
    ),
    updated(
        updates.rmsprop_update,
        "g ← g + λ w, v ← α v + (1 − α) g², u ← μ u + g / (√v + ε), and w ← w − η u",
        (decayed(partial(rmsprop, mu=MU)), OF_RMSPROP | {"momentum": MU}),
        states_of=2,
    ),
    updated(
        updates.adam_update,
        "g ← g + λ w, m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², m̂ = m / (1 − β₁ᵗ), "
        "v̂ = v / (1 − β₂ᵗ), and w ← w − η m̂ / (√v̂ + ε)",
        (decayed(adam), OF_ADAM),
        states_of=2,
        counts=True,
    ),
    updated(
        updates.adamw_update,
        "w ← w − η λ w, then the step of Adam",
        (adamw, OF_ADAM),
        states_of=2,
        counts=True,
    ),
]

OPTIMIZERS = [
    steps(
        optimizers.SGD,
        "v ← μ v + g, then w ← w − η v; with Nesterov's momentum w ← w − η (g + μ v)",
        (sgd, {}),
        (partial(sgd, mu=MU), {"momentum": MU}),
        (nesterov, {"momentum": MU, "nesterov": True}),
        states_of=1,
    ),
    steps(
        optimizers.Adagrad,
        "s ← s + g², then w ← w − η g / (√s + ε)",
        (adagrad, {"eps": EPS}),
        states_of=1,
    ),
    steps(
        optimizers.RMSprop,
        "v ← α v + (1 − α) g², then w ← w − η g / (√v + ε); with momentum u ← μ u + g / (√v + ε), "
        "then w ← w − η u",
        (partial(rmsprop, mu=0), OF_RMSPROP),
        (partial(rmsprop, mu=MU), OF_RMSPROP | {"momentum": MU}),
        states_of=2,
    ),
    steps(
        optimizers.Adam,
        "m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g², corrected for their start at 0 as "
        "m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ); then w ← w − η m̂ / (√v̂ + ε)",
        (adam, OF_ADAM),
        states_of=2,
    ),
    steps(
        optimizers.AdamW,
        "w ← w − η λ w, then the step of Adam",
        (adamw, OF_ADAM | {"weight_decay": DECAY}),
        states_of=2,
    ),
]


def kept_by_adam(rng: Generator) -> Pairs:
    """m and v are brought on one number at a time, v̂ and the step made of them."""
    beta1, beta2 = BETAS
    for _ in range(10):
        w = np.zeros(4)
        optimizer = optimizers.Adam([w], LR, **OF_ADAM)
        expected = [*np.zeros((3, 4))]
        for t in range(1, 11):
            before, g = w.copy(), rng.normal(size=4)
            optimizer.step([g])
            expected = applied(adam, expected[0], g, *expected[1:], t=t)
            M, V = (state.copy() for state in optimizer._blocks[0].states)
            yield M, expected[1] / (1 - beta1)
            yield V, expected[2] / (1 - beta2)
            c = math.sqrt((1 - beta2) / (1 - beta2**t))
            yield c * np.sqrt(V), np.sqrt(expected[2] / (1 - beta2**t))
            step = LR * (1 - beta1) / (1 - beta1**t) / c * M / (np.sqrt(V) + EPS / c)
            yield before - w, step


REARRANGED = [
    states(
        optimizers.Adam,
        "The code keeps M = m / (1 − β₁) and V = v / (1 − β₂), sums without their factors, which "
        "spares two passes over all numbers.",
    )(kept_by_adam),
    states(
        optimizers.Adam,
        "With c = √((1 − β₂) / (1 − β₂ᵗ)), √v̂ is c √V, and the step is "
        "η (1 − β₁) / (1 − β₁ᵗ) / c · M / (√V + ε / c).",
    )(kept_by_adam),
]


@states(
    clipping.clip_by_norm,
    "‖g‖ = √(Σ g²) over all numbers of all gradients; g ← min(1, c / (‖g‖ + 10⁻⁶)) g",
)
def clip_by_norm(rng: Generator) -> Pairs:
    for _ in range(100):
        gradients, most = [rng.normal(size=(2, 3)), rng.normal(size=4)], rng.uniform(0.5, 6)
        clipped, norm = clipping.clip_by_norm(gradients, most)
        length = math.hypot(*gradients[0].ravel(), *gradients[1])
        yield norm, length
        for found, g in zip(clipped, gradients, strict=True):
            yield found, g / max(1.0, (length + 1e-6) / most)


@states(clipping.clip_by_value, "g ← min(max(g, −c), c)")
def clip_by_value(rng: Generator) -> Pairs:
    for _ in range(100):
        gradient, most = rng.normal(size=4), rng.uniform(0.5, 2)
        (found,) = clipping.clip_by_value([gradient], most)
        yield found, [sorted((-most, g, most))[1] for g in gradient]


@states(
    neuron.descend,
    r"Each step computes, with :math:`\eta` for the rate, :math:`Z = XW + b`, then "
    r":math:`W \leftarrow W - \eta\,\partial L/\partial W` and "
    r":math:`b \leftarrow b - \eta\,\partial L/\partial b`.",
)
def descend(rng: Generator) -> Pairs:
    """The derivatives are complex steps of the loss."""
    for _ in range(20):
        X, Y, rate = rng.normal(size=(5, 2)), rng.normal(size=(5, 1)), rng.uniform(0.01, 0.3)
        path = neuron.descend(X, Y, lr=rate, steps=5)

        def loss(theta: Array, X: Array = X, Y: Array = Y) -> Any:
            return ((np.einsum("ij,j->i", X, theta[:2]) + theta[2] - Y[:, 0]) ** 2).sum() / 5

        theta = np.zeros(3)
        for t in range(6):
            yield np.append(path.W[t], path.b[t]), theta.copy()
            yield path.loss[t], loss(theta)
            moved = [theta + 1e-30j * direction for direction in np.eye(3)]
            theta = theta - rate * np.array([loss(m).imag for m in moved]) / 1e-30
