"""Measures of a classifier's predictions, on arrays of class ids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlbook.arguments import check_class_ids

__all__ = ["accuracy", "confusion_matrix", "predicted_classes"]

Classes = NDArray[np.integer]


def predicted_classes(Z: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the class that each row of logits speaks for.

    With k ≥ 2 logits a row, the class of the largest: ``argmax(z)``. With one logit a row, class 1
    where ``z > 0``, that is where its probability is above one half, and else class 0.

    Parameters
    ----------
    Z : ndarray of shape (n, k)
        Logits; k = 1, or shape (n,), means one logit for two classes.

    Returns
    -------
    ndarray of shape (n,)
        Class ids from 0.

    Raises
    ------
    ValueError
        If ``Z`` has another number of axes; the message gives its shape.

    Notes
    -----
    Of equal logits the first wins. Probabilities serve as well as logits for k ≥ 2, not for one.

    Examples
    --------
    >>> predicted_classes(np.array([[5.0, 7.0, 12.0], [0.1, 0.0, -0.1]]))
    array([2, 0])
    >>> predicted_classes(np.array([[-0.3], [0.3]]))
    array([0, 1])
    """
    if Z.ndim not in (1, 2):
        raise ValueError(f"expected logits of shape (n, k) or (n,), got {Z.shape}")
    if Z.ndim == 1 or Z.shape[1] == 1:
        return (Z.reshape(-1) > 0).astype(np.int64)
    classes: NDArray[np.int64] = Z.argmax(axis=1)
    return classes


def accuracy(predicted: Classes, y: Classes) -> float:
    """Return the share of examples whose class was predicted.

    ``accuracy = mean(predicted == y)``

    Parameters
    ----------
    predicted : ndarray of shape (n,)
        Predicted class ids.
    y : ndarray of shape (n,)
        True class ids.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no example; the message gives both shapes. Without this
        check, shapes (n,) and (n, 1) would be compared pair by pair, n × n times.
    TypeError
        If either does not hold integers, as when logits are passed in place of classes.

    Examples
    --------
    >>> accuracy(np.array([1, 0, 2, 2]), np.array([1, 0, 0, 2]))
    0.75
    """
    _check_pair(predicted, y)
    return float((predicted == y).mean())


def confusion_matrix(predicted: Classes, y: Classes, k: int) -> NDArray[np.int64]:
    """Count how often each class was taken for each.

    ``C[i, j]`` is the number of examples of true class i that were predicted as class j.

    Parameters
    ----------
    predicted : ndarray of shape (n,)
        Predicted class ids, each from 0 to k - 1.
    y : ndarray of shape (n,)
        True class ids, each from 0 to k - 1.
    k : int
        The number of classes.

    Returns
    -------
    ndarray of shape (k, k)
        Counts: rows are true classes, columns predictions.

    Raises
    ------
    ValueError
        If the shapes differ, there is no example, or a class id lies outside 0 … k - 1.
    TypeError
        If either does not hold integers.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), k=2)
    array([[1, 1],
           [0, 1]])
    """
    _check_pair(predicted, y)
    check_class_ids(predicted, k)
    check_class_ids(y, k)
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (y, predicted), 1)
    return counts


def _check_pair(predicted: Classes, y: Classes) -> None:
    if predicted.shape != y.shape or predicted.ndim != 1 or not len(predicted):
        raise ValueError(
            "expected as many predictions as labels, both of shape (n,) with n >= 1, "
            f"got {predicted.shape} and {y.shape}"
        )
    for array in (predicted, y):
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(
                f"expected integer class ids, got {array.dtype}; "
                "predicted_classes turns logits into classes"
            )
