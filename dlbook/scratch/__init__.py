"""Deep learning by hand: every forward and backward pass in NumPy, written as it is derived.

For each operation there is a pair of functions, one forward and one backward, with what the
backward pass needs passed between them as ``cache``. The layers hold parameters and call the pairs;
they contain no mathematics.

What a training run needs can be imported from here; the operations stand in their modules.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = ("layers", "losses", "optimizers", "training", "state")


def __getattr__(name: str) -> Any:
    """Load what is asked for on first use, so that the import costs less than NumPy's."""
    if name in __all__:
        for home in _HOMES:
            module = importlib.import_module(f"{__name__}.{home}")
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
