"""Proofs of what the docstrings of the linear map state."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from dlbook.scratch import linear
from tests.proof import Pairs
from tests.statements import states


@states(linear.linear_forward, "Z = X W + b, that is Z_ij = Σ_l X_il W_lj + b_j")
def forward(rng: Generator) -> Pairs:
    for _ in range(100):
        n, d_in, d_out = rng.integers(1, 5, size=3)
        X, W, b = rng.normal(size=(n, d_in)), rng.normal(size=(d_in, d_out)), rng.normal(size=d_out)
        Z, _ = linear.linear_forward(X, W, b)
        yield Z, np.einsum("il,lj->ij", X, W) + b
