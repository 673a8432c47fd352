"""Proofs of what the docstrings of the linear map, as functions and as a layer, state."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from dlbook.scratch import linear
from dlbook.scratch.checks import Array
from dlbook.scratch.layers import Linear
from tests.proof import Pairs
from tests.statements import states


def maps(rng: Generator) -> Iterator[tuple[Array, Array, Array]]:
    for _ in range(100):
        n, d_in, d_out = rng.integers(1, 5, size=3)
        yield rng.normal(size=(n, d_in)), rng.normal(size=(d_in, d_out)), rng.normal(size=d_out)


@states(linear.linear_forward, "Z = X W + b, that is Z_ij = Σ_l X_il W_lj + b_j")
def forward(rng: Generator) -> Pairs:
    for X, W, b in maps(rng):
        Z, _ = linear.linear_forward(X, W, b)
        yield Z, np.einsum("il,lj->ij", X, W) + b


@states(Linear, "Z = X W + b")
def layer_forward(rng: Generator) -> Pairs:
    for X, W, b in maps(rng):
        layer = Linear(*W.shape, rng=rng, dtype=np.float64)
        layer.b[:] = b
        yield layer.forward(X), np.einsum("il,lj->ij", X, layer.W) + b


@states(linear.linear_backward, "dX = dZ Wᵀ, dW = Xᵀ dZ, and db_j = Σ_i dZ_ij")
def backward(rng: Generator) -> Pairs:
    for X, W, b in maps(rng):
        Z, cache = linear.linear_forward(X, W, b)
        dZ = rng.normal(size=Z.shape)
        dX, dW, db = linear.linear_backward(dZ, cache)
        yield dX, np.einsum("ij,lj->il", dZ, W)
        yield dW, np.einsum("il,ij->lj", X, dZ)
        yield db, np.einsum("ij->j", dZ)


@states(linear.linear_input_gradient, "dX = dZ Wᵀ")
def input_gradient(rng: Generator) -> Pairs:
    for X, W, b in maps(rng):
        Z, cache = linear.linear_forward(X, W, b)
        dZ = rng.normal(size=Z.shape)
        yield linear.linear_input_gradient(dZ, cache), np.einsum("ij,lj->il", dZ, W)


@states(linear.linear_parameter_gradients, "dW = Xᵀ dZ, and db_j = Σ_i dZ_ij")
def parameter_gradients(rng: Generator) -> Pairs:
    for X, W, b in maps(rng):
        Z, cache = linear.linear_forward(X, W, b)
        dZ = rng.normal(size=Z.shape)
        dW, db = linear.linear_parameter_gradients(dZ, cache)
        yield dW, np.einsum("il,ij->lj", X, dZ)
        yield db, np.einsum("ij->j", dZ)
