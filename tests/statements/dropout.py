"""Proofs of what the docstrings of dropout, as functions and as a layer, state."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.random import Generator

from dlbook.scratch import dropout
from dlbook.scratch.checks import Array
from dlbook.scratch.layers import Dropout
from tests.proof import Pairs
from tests.statements import states, that


def of_the_mask(M: Array, p: float) -> Pairs:
    """Compare the values of a mask, and their shares within five standard deviations."""
    left_out = float(np.mean(M == 0))
    deviation = math.sqrt(p * (1 - p) / M.size)
    yield float(abs(left_out - p) <= 5 * deviation), 1.0
    yield M[M != 0], np.full(np.count_nonzero(M), 1 / (1 - p))


@states(
    dropout.dropout_forward,
    "Z = M ∘ X, where M_ij = 0 with probability p and 1 / (1 − p) otherwise",
)
def forward(rng: Generator) -> Pairs:
    for p in [0.0, *rng.uniform(0.05, 0.9, size=50)]:
        X = rng.normal(size=(40, 50))
        Z, M = dropout.dropout_forward(X, p=p, rng=rng)
        yield Z, np.einsum("ij,ij->ij", M, X)
        yield from of_the_mask(M, p)


@states(
    Dropout,
    "Z = M ∘ X, where M_ij = 0 with probability p and 1 / (1 − p) otherwise; Z = X out of training",
)
def layer(rng: Generator) -> Pairs:
    for p in [0.0, *rng.uniform(0.05, 0.9, size=50)]:
        X = rng.normal(size=(40, 50))
        drop = Dropout(p, rng=rng)
        yield from of_the_mask(drop.forward(X, training=True) / X, p)
        yield drop.forward(X), X


@states(dropout.dropout_backward, "dX = M ∘ dZ")
def backward(rng: Generator) -> Pairs:
    for p in rng.uniform(0, 0.9, size=100):
        X = rng.normal(size=(4, 5))
        Z, M = dropout.dropout_forward(X, p=p, rng=rng)
        dZ = rng.normal(size=Z.shape)
        dX = dropout.dropout_backward(dZ, M)
        yield dX, np.einsum("ij,ij->ij", Z / X, dZ)


@states(
    dropout.dropout_forward,
    "The mean of Z over all masks is X, because of the factor 1 / (1 − p): hence nothing has to be "
    "scaled once training is over.",
)
def mean_over_masks(rng: Generator) -> Pairs:
    """Over all masks exactly, each with its probability; over drawn ones within five deviations."""
    for p in rng.uniform(0.05, 0.9, size=50).tolist():
        x = rng.normal(size=3)
        mean = sum(
            math.prod(p if m == 0 else 1 - p for m in mask) * x * np.array(mask)
            for mask in itertools.product([0, 1 / (1 - p)], repeat=3)
        )
        yield mean, x
        Z, _ = dropout.dropout_forward(np.tile(x, (5000, 1)), p=p, rng=rng)
        deviations = np.abs(x) * math.sqrt(p / (1 - p) / 5000)
        yield that(np.all(np.abs(Z.mean(axis=0) - x) <= 5 * deviations))


@states(
    dropout.dropout_forward,
    "This is called inverted dropout; ``torch.nn.Dropout`` does the same, and allows p = 1.",
)
def in_torch(rng: Generator) -> Pairs:
    X = np.ones((40, 50))
    for seed, p in enumerate(rng.uniform(0.05, 0.9, size=50).tolist()):
        with torch.random.fork_rng(devices=[]):  # it draws from the global state
            torch.manual_seed(seed)
            Z = torch.nn.Dropout(p)(torch.from_numpy(X)).numpy()
        yield from of_the_mask(Z, p)
    yield torch.nn.Dropout(1.0)(torch.from_numpy(X)).numpy(), np.zeros((40, 50))
    with pytest.raises(ValueError, match="got 1"):
        dropout.dropout_forward(X, p=1.0, rng=rng)
