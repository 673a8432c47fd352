"""Deep learning by hand: every forward and backward pass in NumPy, written as it is derived.

For each operation there is a pair of functions, one forward and one backward, with what the
backward pass needs passed between them as ``cache``. The layers hold parameters and call the pairs;
they contain no mathematics.

What a training run needs can be imported from here; the operations stand in their modules.
"""

from __future__ import annotations

from dlbook.scratch.layers import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    mlp,
)
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
from dlbook.scratch.state import load_state, save_state
from dlbook.scratch.training import evaluate, fit, predict

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "RMSprop",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "evaluate",
    "fit",
    "huber",
    "load_state",
    "mae",
    "mlp",
    "mse",
    "predict",
    "save_state",
    "weighted_cross_entropy",
    "with_options",
]
