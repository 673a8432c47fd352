"""Proofs of what the docstrings of activations state beside their equations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from unittest import mock

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
import sympy
import torch
from numpy.random import Generator

from dlbook.scratch import activations as act
from dlbook.scratch import autograd, gradcheck
from dlbook.scratch.checks import Array
from tests.proof import Pairs
from tests.statements import Statement, states, that
from tests.statements.activations import ELU, PHI, SIGMA, SOFTPLUS, S
from tests.statements.formulas import FAR, arrays, evaluate, values, z

BOUNDED = "Squash every number into the range from −1 to 1."


def bounded(thing: Callable[..., Any], text: str, compute: Callable[[Array], Array]) -> Statement:
    """Prove that no number leaves the range, and that both of its ends are reached."""

    @states(thing, text)
    def prove(rng: Generator) -> Pairs:
        for Z in [*arrays(rng), FAR]:
            yield that(np.abs(compute(Z)).max() <= 1)
        yield compute(FAR), np.array([-1.0, 1.0])

    return prove


NOTES = [
    values(
        act.tanh,
        "It is a sigmoid stretched and moved: tanh(z) = 2 σ(2z) − 1.",
        2 * SIGMA.subs(z, 2 * z) - 1,
    ),
    bounded(act.tanh, BOUNDED, act.tanh),
    bounded(autograd.tanh, BOUNDED, lambda Z: autograd.tanh(autograd.Tensor(Z)).value),
    bounded(act.tanh_forward, "Activations, from −1 to 1.", lambda Z: act.tanh_forward(Z)[0]),
    values(act.sigmoid, "σ(z) of every entry.", SIGMA),
    values(act.gelu, "z Φ(z) of every entry.", z * PHI),
    values(act.gelu_tanh, "z σ(2u) of every entry.", z * S),
    values(act.silu, "z σ(z) of every entry.", z * SIGMA),
    values(act.softplus, "ln(1 + e^z) of every entry.", SOFTPLUS),
    values(act.elu, "z or α (e^z − 1), entry by entry.", ELU, option="alpha"),
]


@states(
    act.sigmoid,
    "Only e^(−|z|) is computed, which is at most 1: the formula as it is usually written overflows "
    "for z below −88.73 in float32 and below −709.79 in float64.",
)
def sigmoid_overflow(rng: Generator) -> Pairs:
    for dtype, edge in [(np.float32, -88.73), (np.float64, -709.79)]:
        for below in rng.exponential(50, size=50):
            with np.errstate(over="raise"), mock.patch.object(np, "exp", wraps=np.exp) as exp:
                sides = np.array([edge - below, edge + 0.01 + below, below - edge], dtype)
                act.sigmoid(sides)
                ((powers,), _) = exp.call_args
                yield powers, -np.abs(sides)
                yield that(overflows(sides[0]))
                yield that(not overflows(sides[1]))


def overflows(number: Any) -> bool:
    """Tell whether 1 / (1 + e^−z) overflows where it is computed as it stands."""
    with np.errstate(over="raise"):
        try:
            1 / (1 + np.exp(-number))
        except FloatingPointError:
            return True
    return False


@states(act.gelu, "It keeps its digits far below 0, where 1 + erf would round to nothing.")
def gelu_far_below(rng: Generator) -> Pairs:
    for far in rng.uniform(-35, -9, size=100):
        (found,) = act.gelu(np.array([far]))
        with mpmath.workdps(40):
            exact = far * mpmath.erfc(-far / mpmath.sqrt(2)) / 2
        yield found / float(exact), 1.0
        yield 1 + math.erf(far / math.sqrt(2)), 0.0


@states(
    act.gelu,
    "``gelu_tanh`` is made of whole-array operations, and differs by less than 5·10⁻⁴.",
)
def gelu_and_gelu_tanh(rng: Generator) -> Pairs:
    for _ in range(100):
        Z = np.sort(rng.uniform(-12, 12, size=2000))
        difference = np.abs(act.gelu(Z) - act.gelu_tanh(Z)).max()
        yield that(4e-4 < difference < 5e-4)


def refuses(function: Callable[..., Any]) -> Statement:
    """Prove that no class is an error that tells the shape."""

    @states(function, "If there is no class, k = 0; the message gives the shape.")
    def prove(rng: Generator) -> Pairs:
        for n in range(100):
            with pytest.raises(ValueError, match="class") as told:
                function(np.zeros((n, 0)))
            yield that(f"({n}, 0)" in str(told.value))

    return prove


@states(
    act.log_softmax,
    "The logarithm of what ``softmax`` returns would be −∞ wherever a probability has become 0.",
)
def log_of_softmax(rng: Generator) -> Pairs:
    for Z in rng.normal(scale=2000, size=(100, 4, 3)):
        P, log_P = act.softmax(Z), act.log_softmax(Z)
        with np.errstate(divide="ignore"):
            yield that(np.all(np.log(P)[P == 0] == -np.inf))
        yield that(np.isfinite(log_P[P == 0]).all() and np.any(P == 0))


@states(
    act.relu_backward,
    "Carry the gradient of the loss back through ReLU: it passes where z > 0 and stops elsewhere.",
)
def relu_passes(rng: Generator) -> Pairs:
    for Z in arrays(rng):
        dA = rng.normal(size=Z.shape)
        passed = [g if entry > 0 else 0.0 for g, entry in zip(dA.flat, Z.flat, strict=True)]
        yield act.relu_backward(dA, act.relu_forward(Z)[1]).ravel(), passed


def at_the_corner(
    backward: Callable[..., Any],
    forward: Callable[..., Any],
    text: str,
    in_torch: Callable[..., Any],
    slope: Callable[[float], float],
    option: str | None = None,
) -> Statement:
    """Prove the slope at 0, that PyTorch takes it, and that the slopes of both sides differ."""

    @states(backward, text)
    def prove(rng: Generator) -> Pairs:
        for given in rng.uniform(0.1, 0.9, size=30):
            options = {option: given} if option else {}
            dA = rng.normal(size=3)
            dZ = backward(dA, forward(np.zeros(3), **options)[1])
            yield dZ, dA * slope(given)
            t = torch.zeros(3, dtype=torch.float64, requires_grad=True)
            in_torch(t, given).backward(torch.from_numpy(dA))
            assert t.grad is not None
            yield dZ, t.grad.numpy()
            near = np.array([-1e-9, 1e-9])
            left, right = forward(near, **options)[0] / near
            yield round(left, 6), round(slope(given), 6)
            yield right, 1.0

    return prove


CORNERS = [
    *map(refuses, (act.softmax, act.softmax_forward, act.log_softmax, act.log_softmax_forward)),
    at_the_corner(
        act.relu_backward,
        act.relu_forward,
        "At z = 0 ReLU has no derivative; 0 is used, as in PyTorch.",
        lambda t, _: torch.relu(t),
        lambda _: 0.0,
    ),
    at_the_corner(
        act.leaky_relu_backward,
        act.leaky_relu_forward,
        "At z = 0 there is no derivative; s is used, as in PyTorch.",
        torch.nn.functional.leaky_relu,
        lambda s: s,
        "negative_slope",
    ),
    at_the_corner(
        act.elu_backward,
        act.elu_forward,
        "At z = 0 there is no derivative unless α is 1; α is used, as in PyTorch.",
        torch.nn.functional.elu,
        lambda alpha: alpha,
        "alpha",
    ),
]


def elu_below(rng: Generator) -> Pairs:
    for alpha in rng.uniform(0, 3, size=50):
        Z = rng.uniform(-1000, -40, size=4)
        yield act.elu(Z, alpha=alpha), np.full(4, -alpha)
        yield act.elu(-Z, alpha=alpha), -Z + 0.0
        yield np.array(act.elu_forward(Z, alpha=alpha)[0]), np.full(4, -alpha)
        with pytest.raises(ValueError, match="alpha"):
            act.elu(Z, alpha=-alpha - 1e-3)


ELU_BELOW = [
    states(act.elu, "Let numbers above 0 pass, and bend those below smoothly towards −α.")(
        elu_below
    ),
    states(act.elu, "−α is what numbers far below 0 approach; 0 or more.")(elu_below),
    states(act.elu_forward, "−α is what numbers far below 0 approach; 0 or more.")(elu_below),
]


@states(act.elu, "``expm1`` is e^z − 1 without the cancellation near z = 0.")
def elu_near_0(rng: Generator) -> Pairs:
    for _ in range(100):
        near = -(10 ** rng.uniform(-15, -11, size=20))
        exact = np.array([float(mpmath.expm1(number)) for number in near])
        yield np.expm1(near) / exact, np.ones(20)
        yield act.elu(near) / exact, np.ones(20)
        yield that(np.abs((np.exp(near) - 1) / exact - 1).max() > 1e-7)


@states(
    act.softplus,
    "PyTorch returns z itself above its threshold of 20, and so differs there by up to 2.1·10⁻⁹.",
)
def softplus_in_torch(rng: Generator) -> Pairs:
    def in_torch(Z: Array) -> Array:
        values: Array = torch.nn.functional.softplus(torch.from_numpy(Z)).numpy()
        return values

    for edge in 20 + 10 ** rng.uniform(-9, 2, size=100):
        Z = np.array([edge])
        yield in_torch(Z), Z.copy()
        yield that(0 <= act.softplus(Z)[0] - edge < 2.1e-9)
    yield that(act.softplus(np.array([20.0 + 1e-12]))[0] - 20 > 2.05e-9)
    yield in_torch(np.array([19.9])), act.softplus(np.array([19.9]))


@states(act.silu, "It is lowest, −0.278, at z = −1.278.")
def silu_lowest(rng: Generator) -> Pairs:
    place = float(sympy.nsolve((z * SIGMA).diff(z), z, -1))
    (lowest,) = act.silu(np.array([place]))
    yield round(place, 3), -1.278
    yield round(float(lowest), 3), -0.278
    for Z in arrays(rng):
        yield that(act.silu(Z).min() >= lowest)


def kept(
    forward: Callable[..., Any], formula: sympy.Expr, value: sympy.Expr, *said: tuple[Any, str]
) -> list[Statement]:
    """Prove what a forward pass computes, that it keeps Z itself, and what else it keeps."""

    def prove(rng: Generator) -> Pairs:
        for Z in arrays(rng):
            A, (own, other) = forward(Z)
            yield that(own is Z)
            yield other, evaluate(formula, Z, 0)
            yield A, evaluate(value, Z, 0)

    return [states(thing, text)(prove) for thing, text in said]


KEPT = [
    *kept(
        act.gelu_forward,
        PHI,
        z * PHI,
        (
            act.gelu_forward,
            "Compute GELU of every entry, and keep Z and Φ(Z) for the backward pass.",
        ),
        (act.gelu_forward, "Z itself, not a copy, and Φ(Z)."),
        (act.gelu_backward, "What ``gelu_forward`` kept: Z and Φ(Z), both of shape (...)."),
    ),
    *kept(
        act.gelu_tanh_forward,
        S,
        z * S,
        (
            act.gelu_tanh_forward,
            "Compute GELU by tanh, and keep Z and σ(2u) for the backward pass.",
        ),
        (act.gelu_tanh_forward, "Z itself, not a copy, and σ(2u)."),
        (
            act.gelu_tanh_backward,
            "What ``gelu_tanh_forward`` kept: Z and σ(2u), both of shape (...).",
        ),
    ),
    *kept(
        act.silu_forward,
        SIGMA,
        z * SIGMA,
        (
            act.silu_forward,
            "Compute SiLU of every entry, and keep Z and σ(Z) for the backward pass.",
        ),
        (act.silu_forward, "Z itself, not a copy, and σ(Z)."),
        (act.silu_backward, "What ``silu_forward`` kept: Z and σ(Z), both of shape (...)."),
    ),
]


@states(act.sigmoid_forward, "Compute σ(z) of every entry, and keep it for the backward pass.")
def sigmoid_kept(rng: Generator) -> Pairs:
    for Z in arrays(rng):
        A, cache = act.sigmoid_forward(Z)
        yield A, evaluate(SIGMA, Z, 0)
        yield cache.copy(), A


def sums_of_rows(
    thing: Callable[..., Any], text: str, compute: Callable[[Generator, Array], Array], total: float
) -> Statement:
    """Prove what every row of what is computed adds up to."""

    @states(thing, text)
    def prove(rng: Generator) -> Pairs:
        for Z in arrays(rng):
            rows = compute(rng, Z).reshape(-1, Z.shape[-1]).tolist()
            yield [math.fsum(row) for row in rows], [total] * len(rows)

    return prove


PROBABILITIES = "Probabilities; each row sums to 1."
GRADIENTS = "Derivative of the loss with respect to Z; each row sums to 0."
ROWS = [
    sums_of_rows(act.softmax, PROBABILITIES, lambda _, Z: act.softmax(Z), 1.0),
    sums_of_rows(act.softmax_forward, PROBABILITIES, lambda _, Z: act.softmax_forward(Z)[0], 1.0),
    sums_of_rows(
        autograd.softmax,
        PROBABILITIES,
        lambda _, Z: autograd.softmax(autograd.Tensor(Z)).value,
        1.0,
    ),
    sums_of_rows(
        act.softmax_backward,
        GRADIENTS,
        lambda rng, Z: act.softmax_backward(rng.normal(size=Z.shape), act.softmax_forward(Z)[1]),
        0.0,
    ),
    sums_of_rows(
        act.log_softmax_backward,
        GRADIENTS,
        lambda rng, Z: act.log_softmax_backward(
            rng.normal(size=Z.shape), act.log_softmax_forward(Z)[1]
        ),
        0.0,
    ),
]


@states(
    act.softmax_backward,
    "An upstream gradient of ones gives 0 whatever P is, because a row of P sums to 1: it cannot "
    "test this function.",
)
def ones_test_nothing(rng: Generator) -> Pairs:
    """A backward pass that is wrong, without its mean, gives 0 for ones too."""
    for Z in arrays(rng):
        P, cache = act.softmax_forward(Z)
        ones, dP = np.ones(Z.shape), rng.normal(size=Z.shape)
        yield act.softmax_backward(ones, cache), np.zeros(Z.shape)
        mistaken = P * (ones - ones.mean(axis=-1, keepdims=True))
        yield mistaken, np.zeros(Z.shape)
        if Z.shape[-1] > 1:
            right = act.softmax_backward(dP, cache)
            yield that(np.abs(P * (dP - dP.mean(axis=-1, keepdims=True)) - right).max() > 1e-9)


@states(
    gradcheck.gradcheck,
    "D must not be constant: the outputs of softmax sum to 1, so that ones would hide any error.",
)
def random_upstream(rng: Generator) -> Pairs:
    """Along any V the sum of the outputs stands still; a random D refuses gradients of 0."""
    for seed in range(100):
        Z, V = rng.normal(size=(2, 3, 4))
        change = act.softmax(Z + V / 100).sum() - act.softmax(Z - V / 100).sum()
        yield change, 0.0
        asked: list[Array] = []

        def nothing(D: Array, P: Array, asked: list[Array] = asked) -> Array:
            asked.append(D)
            return np.zeros_like(P)

        with pytest.raises(gradcheck.GradientError):
            gradcheck.gradcheck(act.softmax_forward, nothing, Z, rng=np.random.default_rng(seed))
        yield that(np.ptp(asked[0]) > 0.1)
