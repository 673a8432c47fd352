"""Cases of the losses."""

from __future__ import annotations

import numpy as np
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.scratch import losses
from tests.cases.common import Calls, Case, Refusal, some_shape, two_alike

CASES = [
    Case(
        losses.mse_forward,
        losses.mse_backward,
        torch=F.mse_loss,
        draw=two_alike,
        refusals=(Refusal("no entry", lambda Z, Y: (Z[:0], Y[:0]), "at least one entry"),),
    ),
    Case(
        losses.binary_cross_entropy_with_logits_forward,
        losses.binary_cross_entropy_with_logits_backward,
        torch=F.binary_cross_entropy_with_logits,
        draw=lambda rng, s: (
            3 * rng.normal(size=(shape := some_shape(rng, s))),
            rng.uniform(size=shape),
        ),
        refusals=(
            Refusal("no entry", lambda Z, Y: (Z[:0], Y[:0]), "at least one entry"),
            Refusal("a target of −1", lambda Z, Y: (Z, -np.ones_like(Y)), "from 0 to 1, got"),
            Refusal("a target of 2", lambda Z, Y: (Z, 2 + Y), "from 0 to 1, got"),
            Refusal("a target of NaN", lambda Z, Y: (Z, Y * np.nan), "from 0 to 1, got"),
        ),
    ),
    Case(
        losses.cross_entropy_forward,
        losses.cross_entropy_backward,
        torch=F.cross_entropy,
        draw=lambda rng, s: (
            3 * rng.normal(size=(s.n, s.d_out)),
            rng.integers(0, s.d_out, size=s.n),
        ),
        refusals=(
            Refusal("no row", lambda Z, y: (Z[:0], y[:0]), "at least one entry"),
            Refusal("a class of −1", lambda Z, y: (Z, y * 0 - 1), "from 0 to .*, got -1"),
            Refusal("a class of k", lambda Z, y: (Z, y * 0 + Z.shape[1]), "from 0 to .*, got"),
        ),
    ),
]

CALLS: Calls = {}
