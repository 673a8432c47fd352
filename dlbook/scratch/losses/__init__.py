"""Losses: one number for how wrong a batch of outputs is, and its gradient.

Each loss is a mean over m terms. Its gradient holds the 1/m, so that those of the parameters are
plain sums over the batch. A loss is passed to ``fit`` as its pair of functions,
(forward, backward): ``mse``, ``mae``, ``huber``, ``binary_cross_entropy_with_logits``,
``cross_entropy``, ``weighted_cross_entropy``.
``with_options`` sets the options of a pair, and turns the mean into a sum.
"""

from __future__ import annotations

from dlbook.scratch.losses.binary import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    binary_cross_entropy_with_logits_forward,
)
from dlbook.scratch.losses.classes import (
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_forward,
    weighted_cross_entropy,
    weighted_cross_entropy_backward,
    weighted_cross_entropy_forward,
)
from dlbook.scratch.losses.pairs import (
    Loss,
    with_options,
)
from dlbook.scratch.losses.regression import (
    huber,
    huber_backward,
    huber_forward,
    mae,
    mae_backward,
    mae_forward,
    mse,
    mse_backward,
    mse_forward,
)

__all__ = [
    "Loss",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "binary_cross_entropy_with_logits_forward",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "huber",
    "huber_backward",
    "huber_forward",
    "mae",
    "mae_backward",
    "mae_forward",
    "mse",
    "mse_backward",
    "mse_forward",
    "weighted_cross_entropy",
    "weighted_cross_entropy_backward",
    "weighted_cross_entropy_forward",
    "with_options",
]
