"""Proofs of what the docstrings of autograd and of the gradient check state."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from dlbook.scratch import autograd, gradcheck
from dlbook.scratch.autograd import Tensor
from dlbook.scratch.checks import Array
from tests.proof import Pairs
from tests.statements import Statement, states, that


def probabilities(Z: Array) -> list[list[float]]:
    """Turn rows of logits into probabilities, which do not notice that m is left out."""
    powers = [[math.exp(z) for z in row] for row in Z]
    return [[p / math.fsum(row) for p in row] for row in powers]


def slope(function: Callable[[Tensor], Tensor], text: str, by_numpy: Any) -> Statement:
    """Make a proof of a derivative, which is a complex step of NumPy's own function."""

    def prove(rng: Generator) -> Pairs:
        for _ in range(100):
            x, D = Tensor(rng.uniform(0.1, 3, size=4)), rng.normal(size=4)
            y = function(x)
            yield y.value, by_numpy(x.value + 0j).real
            yield y.backward([x], D)[0], D * by_numpy(x.value + 1e-30j).imag / 1e-30

    return states(function, text)(prove)


SLOPES = [
    slope(autograd.exp, "d eˣ/dx = eˣ", np.exp),
    slope(autograd.log, "d ln x/dx = 1/x", np.log),
    slope(autograd.tanh, "d tanh x/dx = 1 − tanh² x", np.tanh),
]


@states(
    autograd.softmax, "p_j = e^(z_j − m) / Σ_l e^(z_l − m), with m the largest logit of the row"
)
def softmax(rng: Generator) -> Pairs:
    for _ in range(100):
        Z = rng.normal(0, 3, size=rng.integers(1, 5, size=2))
        yield autograd.softmax(Tensor(Z)).value, probabilities(Z)


@states(
    autograd.log_softmax,
    "ln p_j = z_j − m − ln Σ_l e^(z_l − m), with m the largest logit of the row",
)
def log_softmax(rng: Generator) -> Pairs:
    for _ in range(100):
        Z = rng.normal(0, 3, size=rng.integers(1, 5, size=2))
        yield autograd.log_softmax(Tensor(Z)).value, np.log(probabilities(Z))


@states(autograd.cross_entropy, "loss = −1/n Σ_i ln p_i,y_i")
def cross_entropy(rng: Generator) -> Pairs:
    for _ in range(100):
        n, k = (int(m) for m in rng.integers(1, 5, size=2))
        Z, y = rng.normal(0, 3, size=(n, k)), rng.integers(0, k, size=n)
        P = probabilities(Z)
        expected = -math.fsum(math.log(P[i][y[i]]) for i in range(n)) / n
        yield autograd.cross_entropy(Tensor(Z), y).value, expected


@states(Tensor.sum, "∂s/∂x_i = 1 for every x_i of a sum s")
def tensor_sum(rng: Generator) -> Pairs:
    for _ in range(100):
        x = Tensor(rng.normal(size=rng.integers(1, 5, size=2)))
        yield x.sum().backward([x])[0], np.ones(x.value.shape)
        n, k = x.value.shape
        over_rows, over_columns = (rng.normal(size=int(m)) for m in (k, n))
        yield x.sum(axis=0).backward([x], over_rows)[0], [over_rows.tolist()] * n
        yield x.sum(axis=1).backward([x], over_columns)[0], [[g] * k for g in over_columns]


@states(Tensor.mean, "mean = s / m, where m numbers have the sum s")
def tensor_mean(rng: Generator) -> Pairs:
    for _ in range(100):
        X = rng.normal(size=rng.integers(1, 5, size=2))
        yield Tensor(X).mean().value, math.fsum(X.ravel()) / X.size
        yield Tensor(X).mean(axis=0).value, [math.fsum(x) / len(X) for x in X.T]
        yield Tensor(X).mean(axis=1).value, [math.fsum(x) / len(x) for x in X]


@states(
    Tensor.backward, "G_s = Σ_t (∂t/∂s)ᵀ G_t over all t that were made of s, the last made first"
)
def backward(rng: Generator) -> Pairs:
    """Jacobians are written out; s is used three times, and t in what is made after it."""
    for _ in range(100):
        A, start, D = rng.normal(size=(3, 3)), rng.normal(size=(3, 1)), rng.normal(size=(3, 1))
        s = Tensor(start)
        t = A @ s
        u = s * s
        end = t * u - s
        G_s, G_t, G_u = end.backward([s, t, u], D)
        yield G_t, np.diag(u.value[:, 0]).T @ D
        yield G_u, np.diag(t.value[:, 0]).T @ D
        yield G_s, A.T @ G_t + np.diag(2 * start[:, 0]).T @ G_u + (-np.eye(3)).T @ D


@states(
    gradcheck.gradcheck,
    "For an argument x, its gradient G, a random direction V and a random upstream gradient D: "
    "Σ G ∘ V = d/dt Σ D ∘ forward(x + t V) at t = 0; entry by entry, V is 1 there and 0 elsewhere",
)
def check(rng: Generator) -> Pairs:
    """Of gradients with errors that are known, it finds the errors of both sides."""
    for seed in range(100):
        x, wrong = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
        same = np.random.default_rng(seed)
        D, V = same.normal(size=(2, 3)), same.normal(size=(2, 3))
        G, true = 2 * x * D + wrong, 2 * x * D
        sides = [math.fsum((gradient * V).ravel()) for gradient in (G, true)]
        along = abs(sides[0] - sides[1]) / max(map(abs, sides))
        alone = np.abs(wrong).max() / max(np.abs(G).max(), np.abs(true).max())
        for entrywise, expected in ((False, along), (True, max(along, alone))):
            found = gradcheck.gradcheck(
                lambda x: (x**2, x),
                lambda D, x, wrong=wrong: 2 * x * D + wrong,
                x,
                rng=np.random.default_rng(seed),
                tolerance=10,
                entrywise=entrywise,
            )
            yield found, expected


@states(
    Tensor,
    "``x += y`` makes a new tensor under the old name and changes no array; ``x[0] = 1`` is an "
    "error.",
)
def nothing_in_place(rng: Generator) -> Pairs:
    for start, change in rng.normal(size=(100, 2, 3)):
        x, kept = Tensor(start), start.copy()
        old = x
        x += change
        yield that(x is not old)
        yield old.value.copy(), kept
        yield x.value, kept + change
        with pytest.raises(TypeError):
            x[0] = 1


@states(Tensor.reshape, "The lengths of the axes; one of them may be −1, which is then worked out.")
def worked_out(rng: Generator) -> Pairs:
    for a, b, c in rng.integers(1, 5, size=(100, 3)).tolist():
        X = rng.normal(size=(a, b, c))
        yield Tensor(X).reshape(a, -1).value.copy(), X.reshape(a, b * c)
        yield Tensor(X).reshape(-1, c).value.copy(), X.reshape(a * b, c)
        yield Tensor(X).reshape(c, b, a).value.copy(), X.reshape(c, b, a)


@states(
    gradcheck.directional_derivative,
    "(f(h) − f(−h)) / 2h errs by O(h²) because f is curved, and by O(ε/h) because floats are "
    "rounded.",
)
def two_errors(rng: Generator) -> Pairs:
    """A tenth of h leaves a hundredth of the first error; the second is some ε over h."""
    for a, b in rng.uniform([0.5, 0.2], [2, 1.2], size=(100, 2)).tolist():

        def error(h: float, a: float = a, b: float = b) -> float:
            quotient = (math.sin(a * h + b) - math.sin(-a * h + b)) / (2 * h)
            return quotient - a * math.cos(b)

        yield that(abs(error(1e-2) / error(1e-3) - 100) < 0.1)
        yield that(abs(error(1e-2) / (-(a**3) * math.cos(b) * 1e-4 / 6) - 1) < 1e-3)
        noise = [abs(error(h)) / (np.finfo(float).eps / h) for h in np.geomspace(1e-12, 1e-11, 30)]
        yield that(1e-2 < max(noise) < 2)


@states(
    gradcheck.directional_derivative, "Two steps h and h/10 are combined so that the h² cancels."
)
def cancels(rng: Generator) -> Pairs:
    """Of a t + b t² + c t³ nothing but c h² is wrong in a quotient, and nothing is left of it."""
    for a, b, c in rng.normal(scale=[1, 1, 1e9], size=(100, 3)).tolist():
        asked: list[float] = []

        def cubic(t: float, a: float = a, b: float = b, c: float = c, log: Any = asked) -> float:
            log.append(t)
            return a * t + b * t**2 + c * t**3

        yield gradcheck.directional_derivative(cubic), a
        steps = sorted({abs(h) for h in asked}, reverse=True)
        yield np.array(steps[:-1]) / np.array(steps[1:]), np.full(len(steps) - 1, 10.0)


@states(
    gradcheck.gradcheck,
    "The largest relative error found: |a − b| / max(|a|, |b|, 10⁻⁶) of the two sides.",
)
def relative_error(rng: Generator) -> Pairs:
    """Of gradients from 10⁻⁹ to 1 that are wrong by a known share of themselves."""
    for seed, size in enumerate(10 ** rng.uniform(-9, 0, size=100)):
        share = rng.uniform(0.1, 0.5)
        same = np.random.default_rng(seed)
        D, V = same.normal(size=1), same.normal(size=1)
        b = float(size * D[0] * V[0])
        a = b * (1 + share)
        found = gradcheck.gradcheck(
            lambda x, size=size: (size * x, None),
            lambda D, _, size=size, share=share: size * D * (1 + share),
            np.zeros(1),
            rng=np.random.default_rng(seed),
            tolerance=10,
        )
        yield found, abs(a - b) / max(abs(a), abs(b), 1e-6)


@states(
    gradcheck.gradcheck,
    "Without the 10⁻⁶ a gradient that has all but vanished could not be told from rounding.",
)
def vanished(rng: Generator) -> Pairs:
    """Of a gradient of 10⁻¹⁴ beside a 1 the quotients are rounding, and yet it passes."""
    for seed in range(100):
        found = gradcheck.gradcheck(
            lambda x: (1 + 1e-14 * x, None),
            lambda D, _: 1e-14 * D,
            rng.uniform(0.1, 1, size=3),
            rng=np.random.default_rng(seed),
        )
        yield that(0 < found < 1e-7)
        yield that(found * 1e-6 / 1e-14 > 1e-7)  # relative to the gradient alone
