"""Cases of the maps with parameters."""

from __future__ import annotations

from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.scratch import linear
from tests.cases.common import Calls, Case

CASES = [
    Case(
        linear.linear_forward,
        linear.linear_backward,
        torch=lambda X, W, b: F.linear(X, W.T, b),
        draw=lambda rng, s: (
            rng.normal(size=(s.n, s.d_in)),
            rng.normal(size=(s.d_in, s.d_out)),
            rng.normal(size=s.d_out),
        ),
    ),
]

CALLS: Calls = {}
