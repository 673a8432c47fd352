"""Proofs of what the docstrings of softmax and its logarithm state."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

from dlbook.scratch import activations as act
from dlbook.scratch import layers
from dlbook.scratch.checks import Array
from tests.proof import Pairs
from tests.statements import Statement, states
from tests.statements.formulas import arrays, forward, gradient

LARGE = np.array([[1000.0, 999.0, -1000.0]])


def rows(Z: Array, formula: Callable[[list[float]], list[float]]) -> Array:
    return np.apply_along_axis(lambda row: np.array(formula(row.tolist())), -1, Z)


def plain(row: list[float]) -> list[float]:
    return [math.exp(logit) / math.fsum(map(math.exp, row)) for logit in row]


def shifted(row: list[float]) -> list[float]:
    return plain([logit - max(row) for logit in row])


def log_plain(row: list[float]) -> list[float]:
    return [logit - math.log(math.fsum(map(math.exp, row))) for logit in row]


def log_shifted(row: list[float]) -> list[float]:
    return log_plain([logit - max(row) for logit in row])


def computes(
    function: Callable[..., Any],
    text: str,
    safe: Callable[[list[float]], list[float]],
    usual: Callable[[list[float]], list[float]],
) -> Statement:
    """Prove the form with the largest logit, also of large ones, and the equal one without."""

    @states(function, text)
    def prove(rng: Generator) -> Pairs:
        for Z in [*arrays(rng), LARGE]:
            P = forward(function)(Z)
            yield P, rows(Z, safe)
            if Z is not LARGE:
                yield P, rows(Z, usual)

    return prove


PROOFS = [
    computes(
        act.softmax,
        "p_j = e^(z_j − m) / Σ_l e^(z_l − m), with m the largest logit of the row",
        shifted,
        plain,
    ),
    computes(act.softmax_forward, "P = softmax(Z)", shifted, plain),
    computes(layers.Softmax, "p_j = e^(z_j) / Σ_l e^(z_l), row by row", shifted, plain),
    computes(
        act.log_softmax,
        "ln p_j = z_j − m − ln Σ_l e^(z_l − m), with m the largest logit of the row",
        log_shifted,
        log_plain,
    ),
    computes(act.log_softmax_forward, "ln P = log_softmax(Z)", log_shifted, log_plain),
    computes(
        layers.LogSoftmax, "ln p_j = z_j − ln Σ_l e^(z_l), row by row", log_shifted, log_plain
    ),
]


@states(act.softmax_backward, "dz_j = p_j (dp_j − Σ_l dp_l p_l), row by row")
def softmax_backward(rng: Generator) -> Pairs:
    for Z in arrays(rng):
        dP, P = rng.normal(size=Z.shape), rows(Z, plain)
        dZ = act.softmax_backward(dP, act.softmax_forward(Z)[1])
        yield dZ, P * (dP - np.einsum("...l,...l->...", dP, P)[..., np.newaxis])
        yield dZ, gradient(lambda X, dP: (dP * _softmax(X)).sum(), Z, dP)


@states(act.log_softmax_backward, "dz_j = d ln p_j − p_j Σ_l d ln p_l, row by row")
def log_softmax_backward(rng: Generator) -> Pairs:
    for Z in arrays(rng):
        dL, P = rng.normal(size=Z.shape), rows(Z, plain)
        dZ = act.log_softmax_backward(dL, act.log_softmax_forward(Z)[1])
        yield dZ, dL - np.einsum("...j,...l->...j", P, dL)
        yield dZ, gradient(lambda X, dL: (dL * np.log(_softmax(X))).sum(), Z, dL)


def _softmax(X: Array) -> Array:
    P: Array = np.exp(X) / np.exp(X).sum(axis=-1, keepdims=True)
    return P
