"""From arrays to the batches that a PyTorch loop reads."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

__all__ = ["Loader", "make_loader"]

Loader = DataLoader[tuple[Tensor, ...]]


def make_loader(
    X: NDArray[Any],
    y: NDArray[Any],
    *,
    batch_size: int,
    generator: torch.Generator | None = None,
) -> Loader:
    """Make a loader that hands out minibatches of an array's rows.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        Examples.
    y : ndarray of shape (n, ...)
        Class ids or targets.
    batch_size : int
        Examples a batch; the last batch is smaller where this does not divide n.
    generator : torch.Generator, optional
        Shuffles the rows, anew for each epoch. Without it they come in order, as they should
        for evaluation.

    Returns
    -------
    DataLoader
        Yields pairs of tensors, which share memory with no one, on the CPU.

    Raises
    ------
    ValueError
        If ``X`` and ``y`` differ in length or are empty, or ``batch_size`` is below 1; the
        message gives the numbers.

    Examples
    --------
    >>> import numpy as np
    >>> loader = make_loader(np.zeros((5, 2)), np.arange(5), batch_size=2)
    >>> [tuple(X.shape) for X, y in loader]
    [(2, 2), (2, 2), (1, 2)]
    """
    if len(X) != len(y) or not len(X):
        raise ValueError(f"expected one target for each example, got {len(X)} and {len(y)}")
    if batch_size < 1:
        raise ValueError(f"expected a batch size of at least 1, got {batch_size}")
    dataset = TensorDataset(torch.tensor(X), torch.tensor(y))
    return DataLoader(dataset, batch_size, shuffle=generator is not None, generator=generator)
