"""What the tests of loaders share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

__all__ = ["same", "seeded", "table", "with_workers"]

# From Python 3.12 on, forking warns that threads exist, as NumPy and PyTorch always have some.
with_workers = pytest.mark.filterwarnings(
    r"ignore:This process \(pid=\d+\) is multi-threaded:DeprecationWarning"
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def table(n: int = 20) -> tuple[Any, Any]:
    """Return three columns that are not standardized, and the rows' numbers as targets."""
    rng = np.random.default_rng(0)
    return rng.normal(5, 2, size=(n, 3)).astype("float32"), np.arange(n)


def same(first: Iterable[Any], second: Iterable[Any]) -> bool:
    """Compare batches bit by bit, dtypes too, wherever they are."""
    return all(
        torch.equal(a.cpu(), b.cpu()) and a.dtype == b.dtype
        for one, other in zip(first, second, strict=True)
        for a, b in zip(one, other, strict=True)
    )
