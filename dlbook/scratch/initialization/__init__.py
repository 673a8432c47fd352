"""Where the weights start: random, and as wide as keeps signals neither growing nor fading.

The fans of a weight matrix of shape (d_in, d_out) are d_in and d_out, as ``torch.nn.init`` counts
them for its transposed layout.
"""

from __future__ import annotations

from dlbook.scratch.initialization.gains import calculate_gain
from dlbook.scratch.initialization.plain import normal, zeros
from dlbook.scratch.initialization.scaled import (
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    xavier_normal,
    xavier_uniform,
)

__all__ = [
    "calculate_gain",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
