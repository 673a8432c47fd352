"""Data as arrays: the book's data sets, and splitting, scaling, encoding and batching them."""

from __future__ import annotations

from dlbook.data.batching import minibatches
from dlbook.data.loading import load_delivery, load_digits, load_two_digits
from dlbook.data.preparing import Standardizer, one_hot
from dlbook.data.splitting import Part, Splits, shared_rows, split
from dlbook.data.synthetic import make_blobs, make_moons

__all__ = [
    "Part",
    "Splits",
    "Standardizer",
    "load_delivery",
    "load_digits",
    "load_two_digits",
    "make_blobs",
    "make_moons",
    "minibatches",
    "one_hot",
    "shared_rows",
    "split",
]
