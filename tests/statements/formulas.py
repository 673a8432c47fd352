"""Statements about every entry of an array, proved by a formula in SymPy.

A formula is written as the docstring writes it, differentiated by SymPy, and evaluated entry by
entry in the arithmetic of mpmath, which cannot overflow.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import sympy
from numpy.random import Generator

from dlbook.scratch.checks import Array
from tests.proof import Pairs
from tests.statements import Statement, states

__all__ = ["arrays", "c", "derivatives", "evaluate", "forward", "gradient", "values", "z"]

z, c = sympy.symbols("z c", real=True)  # an entry, and the option of the function

CORNER = np.array([0.0])
FAR = np.array([-1000.0, 1000.0])


def values(
    function: Callable[..., Any], text: str, *forms: sympy.Expr, option: str | None = None
) -> Statement:
    """Prove that a function, or the layer of a class, computes each of the equal ``forms``."""

    @states(function, text)
    def prove(rng: Generator) -> Pairs:
        for Z in [*arrays(rng), CORNER, FAR]:
            given = rng.uniform(0.1, 2)
            compute = forward(function, **({option: given} if option else {}))
            for form in forms:
                yield compute(Z), evaluate(form, Z, given)

    return prove


def derivatives(
    backward: Callable[..., Any],
    forward: Callable[..., Any],
    text: str,
    slope: sympy.Expr,
    value: sympy.Expr,
    *,
    option: str | None = None,
) -> Statement:
    """Prove that ``backward`` multiplies by ``slope``, which is the derivative of ``value``."""

    @states(backward, text)
    def prove(rng: Generator) -> Pairs:
        for Z in [*arrays(rng), CORNER, FAR]:
            given = rng.uniform(0.1, 2)
            cache = forward(Z, **({option: given} if option else {}))[1]
            dA = rng.normal(size=Z.shape)
            dZ = backward(dA, cache)
            yield dZ, dA * evaluate(slope, Z, given)
            if Z is not CORNER:
                yield dZ, dA * evaluate(value.diff(z), Z, given)

    return prove


def forward(function: Callable[..., Any], **options: float) -> Callable[[Array], Array]:
    """Return what computes the outputs alone, of a function, a forward pass or a layer."""
    compute: Any = function(**options) if inspect.isclass(function) else None

    def outputs(Z: Array) -> Array:
        found = compute.forward(Z) if compute else function(Z, **options)
        A: Array = found[0] if isinstance(found, tuple) else found
        return A

    return outputs


def arrays(rng: Generator) -> Iterator[Array]:
    """Yield a hundred arrays of one to three axes, none of them with a 0."""
    for _ in range(100):
        yield rng.normal(scale=3, size=rng.integers(1, 4, size=rng.integers(1, 4)))


def evaluate(formula: sympy.Expr, Z: Array, option: float) -> Array:
    """Evaluate a formula in z and c for every entry of Z."""
    compute = _compiled(formula)
    entries = [float(compute(float(entry), option)) for entry in Z.flat]
    return np.array(entries).reshape(Z.shape)


@functools.cache
def _compiled(formula: sympy.Expr) -> Callable[..., Any]:
    compiled: Callable[..., Any] = sympy.lambdify((z, c), formula, "mpmath")
    return compiled


def gradient(loss: Callable[..., Any], Z: Array, *given: Any) -> Array:
    """Differentiate a formula at Z by a complex step, which is exact to rounding."""
    dZ = np.empty(Z.shape)
    for place in np.ndindex(Z.shape):
        moved = Z.astype(complex)
        moved[place] += 1e-30j
        dZ[place] = loss(moved, *given).imag / 1e-30
    return dZ
