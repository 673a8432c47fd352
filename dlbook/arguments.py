"""Checks of arguments that several rooms of the package share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_class_ids"]


def check_class_ids(y: NDArray[np.integer], k: int) -> None:
    """Refuse anything but an array of class ids from 0 to k - 1.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Class ids.
    k : int
        The number of classes.

    Raises
    ------
    TypeError
        If ``y`` does not hold integers; the message gives its dtype.
    ValueError
        If ``y`` has another number of axes or an id outside 0 … k - 1; the message gives it.

    Examples
    --------
    >>> check_class_ids(np.array([0, 3]), k=3)
    Traceback (most recent call last):
    ValueError: expected class ids from 0 to 2, got 3
    """
    if not np.issubdtype(y.dtype, np.integer):
        raise TypeError(
            f"expected integer class ids, got {y.dtype}; "
            "predicted_classes turns logits into classes"
        )
    if y.ndim != 1:
        raise ValueError(f"expected class ids of shape (n,), got {y.shape}")
    outside = y[(y < 0) | (y >= k)]
    if len(outside):
        raise ValueError(f"expected class ids from 0 to {k - 1}, got {outside[0]}")
