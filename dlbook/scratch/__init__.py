"""Deep learning by hand: every forward and backward pass in NumPy, written as it is derived.

For each operation there is a pair of functions, one forward and one backward, with what the
backward pass needs passed between them as ``cache``. The layers hold parameters and call the pairs;
they contain no mathematics.

What a training run needs can be imported from here; the operations stand in their modules.
"""

from __future__ import annotations

from dlbook.scratch.layers import Linear, ReLU, Sequential, Sigmoid, mlp
from dlbook.scratch.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber,
    mae,
    mse,
    weighted_cross_entropy,
    with_options,
)
from dlbook.scratch.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from dlbook.scratch.training import evaluate, fit, predict

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Linear",
    "RMSprop",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "evaluate",
    "fit",
    "huber",
    "mae",
    "mlp",
    "mse",
    "predict",
    "weighted_cross_entropy",
    "with_options",
]
