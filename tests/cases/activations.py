"""Cases of the activations."""

from __future__ import annotations

from functools import partial

import torch
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.scratch import activations
from tests.cases.common import Calls, Case, Refusal, away_from_zero, some_shape

CASES = [
    Case(
        activations.sigmoid_forward,
        activations.sigmoid_backward,
        torch=torch.sigmoid,
        draw=lambda rng, s: (3 * rng.normal(size=some_shape(rng, s)),),
        value=activations.sigmoid,
    ),
    Case(
        activations.relu_forward,
        activations.relu_backward,
        torch=F.relu,
        draw=away_from_zero,
        value=activations.relu,
    ),
    Case(
        activations.softmax_forward,
        activations.softmax_backward,
        torch=partial(F.softmax, dim=-1),
        draw=lambda rng, s: (rng.normal(size=some_shape(rng, s)),),
        value=activations.softmax,
        refusals=(Refusal("no class", lambda Z: (Z[..., :0],), "at least one class"),),
    ),
]

CALLS: Calls = {}
