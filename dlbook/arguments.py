"""Checks of arguments that several rooms of the package share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_class_ids", "check_whole"]


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


def check_whole(name: str, value: int, least: int = 1) -> None:
    """Refuse anything but a whole number from ``least`` up.

    Parameters
    ----------
    name : str
        What the message calls the number.
    value : int
        The number.
    least : int, default 1
        The least number allowed.

    Raises
    ------
    TypeError
        If it is not an integer; the message gives what it is.
    ValueError
        If it is below ``least``; the message gives it.

    Examples
    --------
    >>> check_whole("epochs", 0)
    Traceback (most recent call last):
    ValueError: expected epochs of at least 1, got 0
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise TypeError(f"expected {name} to be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"expected {name} of at least {least}, got {value}")
