"""Minibatches: the order in which examples are shown to a network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def minibatches(
    n: int, batch_size: int, *, rng: np.random.Generator | None = None
) -> Iterator[NDArray[np.int64]]:
    """Cut the n example numbers of one epoch into minibatches.

    Every number from 0 to n - 1 comes exactly once. The last batch is smaller where
    ``batch_size`` does not divide n, so that a mean over the epoch must weight each batch by its
    size.

    Parameters
    ----------
    n : int
        The number of examples.
    batch_size : int
        Examples a batch; more than n means one batch of n.
    rng : Generator, optional
        Shuffles the numbers first, anew with each call. Without it they come in order.

    Returns
    -------
    iterator of ndarray of shape (batch_size,)
        Example numbers, to index X and y with; the last array may be shorter.

    Raises
    ------
    ValueError
        If ``n`` or ``batch_size`` is below 1; the message gives it.

    Examples
    --------
    >>> for batch in minibatches(5, batch_size=2):
    ...     print(batch)
    [0 1]
    [2 3]
    [4]
    """
    if n < 1:
        raise ValueError(f"expected at least one example, got n = {n}")
    if batch_size < 1:
        raise ValueError(f"expected a batch size of at least 1, got {batch_size}")
    order = np.arange(n) if rng is None else rng.permutation(n)
    return (order[start : start + batch_size] for start in range(0, n, batch_size))
