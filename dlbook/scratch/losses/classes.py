"""Losses of one class among several: cross-entropy, plain and with weights."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from dlbook.scratch.activations import log_softmax
from dlbook.scratch.checks import (
    Array,
    Labels,
    check_arrays,
    check_finite,
    check_labels,
    check_number,
)
from dlbook.scratch.losses.pairs import Loss, check_reduction, check_some
from dlbook.scratch.reductions import row_max, row_sum

__all__ = [
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "weighted_cross_entropy",
    "weighted_cross_entropy_backward",
    "weighted_cross_entropy_forward",
]


def cross_entropy_forward(Z: Array, y: Labels) -> tuple[float, tuple[Array, Labels]]:
    """Compute the mean cross-entropy of the probabilities softmax(z).

    loss = −1/n Σ_i ln p_i,y_i, where ln p = z − m − ln Σ_l e^(z_l − m) and m = max z, row by row

    Parameters
    ----------
    Z : ndarray of shape (n, k)
        Logits.
    y : ndarray of shape (n,)
        Class ids from 0 to k - 1.

    Returns
    -------
    loss : float
        In nats; ln k for a model that knows nothing.
    cache : tuple
        The logarithms of the probabilities, of shape (n, k), and y.

    Raises
    ------
    ValueError
        If a shape does not fit, there is no row, or a class id is not from 0 to k - 1; the message
        gives what came.
    TypeError
        If Z does not hold floats or y does not hold integers; the message gives what they hold.

    Notes
    -----
    Takes logits, never probabilities: a softmax before this loss would be applied twice. No
    exponent is above 0 and no logarithm of 0 is taken, so that logits such as 1000 are safe.
    ``torch.nn.CrossEntropyLoss`` is the same; its options are those of
    ``weighted_cross_entropy_forward``.

    Examples
    --------
    >>> loss, cache = cross_entropy_forward(np.zeros((1, 4)), np.array([2]))
    >>> loss, np.log(4.0).item()
    (1.3862943611198906, 1.3862943611198906)
    """
    check_arrays(Z=(Z, "n, k"))
    check_labels(y, Z)
    check_some(Z)
    n = len(y)
    shifted = Z - row_max(Z)  # (n, k), at most 0
    log_P = shifted - np.log(row_sum(np.exp(shifted)))  # (n, k)
    loss = -log_P[np.arange(n), y].sum() / n
    return float(loss), (log_P, y)


def cross_entropy_backward(cache: tuple[Array, Labels]) -> Array:
    """Compute the gradient of the mean cross-entropy with respect to the logits.

    dZ = 1/n (P − Y), where row i of Y holds a 1 in column y_i and 0 elsewhere

    Parameters
    ----------
    cache : tuple
        What ``cross_entropy_forward`` kept: ln P of shape (n, k) and y of shape (n,).

    Returns
    -------
    ndarray of shape (n, k)
        Derivative of the loss with respect to Z; each row sums to 0.

    Examples
    --------
    >>> loss, cache = cross_entropy_forward(np.zeros((1, 4)), np.array([2]))
    >>> cross_entropy_backward(cache)
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    log_P, y = cache
    n = len(y)
    dZ: Array = np.exp(log_P)  # (n, k), P
    dZ[np.arange(n), y] -= 1  # P − Y
    return dZ / n


def weighted_cross_entropy_forward(
    Z: Array,
    y: Labels,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> tuple[float, tuple[Array, Array]]:
    """Compute cross-entropy where classes differ in weight, rows are left out, or labels smoothed.

    loss = −1/c Σ_i Σ_j t_ij ln p_ij, where t_ij = w_j ((1 − ε) [j = y_i] + ε/k) in the rows that
    count, t_ij = 0 in the others, and c = Σ_i w_y_i over the rows that count; c = 1 for a sum

    Parameters
    ----------
    Z : ndarray of shape (n, k)
        Logits.
    y : ndarray of shape (n,)
        Class ids from 0 to k - 1, or ``ignore_index``.
    weight : ndarray of shape (k,), optional
        What each class counts, of the dtype of Z, 0 or more; 1 each if not given.
    ignore_index : int, default -100
        The label of rows that do not count.
    label_smoothing : float, default 0
        ε, the share of each target that is spread over all classes, from 0 up and below 1.
    reduction : {"mean", "sum"}
        Whether to divide by the weight of the labels that count.

    Returns
    -------
    loss : float
        In nats.
    cache : tuple
        The logarithms of the probabilities and T / c, both of shape (n, k).

    Raises
    ------
    ValueError
        If a shape does not fit, there is no row, no label counts or all that do have weight 0, a
        class id is not from 0 to k - 1, or an option is out of range; the message gives what came.
    TypeError
        If Z and ``weight`` do not hold floats of one dtype, y does not hold integers, or an option
        is of another kind; the message gives what came.

    Notes
    -----
    ``torch.nn.CrossEntropyLoss`` is the same, but returns NaN for the mean where no label counts.
    The mean divides by the weights of the labels, not by n. Batches differ in that divisor: means
    over an epoch, which ``fit`` takes by the number of examples, are then not quite that of all
    examples at once. The accuracy that ``fit`` records counts rows left out as wrong.

    References
    ----------
    C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
    section 7, for smoothed labels.

    Examples
    --------
    >>> Z, y = np.log(np.array([[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]])), np.array([0, 1, -100])
    >>> loss, cache = weighted_cross_entropy_forward(Z, y, weight=np.array([1.0, 3.0]))
    >>> loss, float(-(np.log(0.5) + 3 * np.log(0.8)) / (1 + 3))
    (0.3406, 0.3406)
    """
    check_arrays(Z=(Z, "n, k"))
    check_some(Z)
    counts = _counts(y, Z, ignore_index)  # (n,)
    w = _class_weights(weight, Z)  # (k,)
    check_number("label_smoothing", label_smoothing, 0, 1)
    check_reduction(reduction)
    log_P = log_softmax(Z)  # (n, k)
    T = np.zeros_like(Z)  # (n, k)
    T[counts] = label_smoothing / Z.shape[1]
    T[counts, y[counts]] += 1 - label_smoothing
    T *= w
    if reduction == "mean":
        T /= _total(w[y[counts]])
    loss = -np.sum(T * log_P)
    return float(loss), (log_P, T)


def weighted_cross_entropy_backward(cache: tuple[Array, Array]) -> Array:
    """Compute the gradient of the cross-entropy with weights with respect to the logits.

    dz_ij = 1/c (p_ij Σ_l t_il − t_ij)

    Parameters
    ----------
    cache : tuple
        What ``weighted_cross_entropy_forward`` kept: ln P and T / c, both of shape (n, k).

    Returns
    -------
    ndarray of shape (n, k)
        Derivative of the loss with respect to Z; each row sums to 0.

    Notes
    -----
    Where the targets of a row sum to 1, this is 1/c (p − t), as for ``cross_entropy_backward``.

    Examples
    --------
    >>> Z, y = np.zeros((2, 2)), np.array([0, -100])
    >>> loss, cache = weighted_cross_entropy_forward(Z, y, label_smoothing=0.5)
    >>> weighted_cross_entropy_backward(cache)
    array([[-0.25,  0.25],
           [ 0.  ,  0.  ]])
    """
    log_P, T = cache
    dZ: Array = np.exp(log_P) * T.sum(axis=1, keepdims=True) - T
    return dZ


cross_entropy: Loss = (cross_entropy_forward, cross_entropy_backward)
weighted_cross_entropy: Loss = (weighted_cross_entropy_forward, weighted_cross_entropy_backward)


def _counts(y: Labels, Z: Array, ignore_index: int) -> NDArray[np.bool_]:
    """Tell which rows count; refuse labels that are neither classes nor ``ignore_index``."""
    if not isinstance(ignore_index, Integral) or isinstance(ignore_index, bool):
        raise TypeError(f"expected ignore_index to be a whole number, got {ignore_index!r}")
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "iu":
        check_labels(y, Z)  # says what is wrong
    counts: NDArray[np.bool_] = y != ignore_index
    check_labels(np.where(counts, y, 0), Z)
    if not counts.any():
        raise ValueError(f"expected at least one label that counts, got {ignore_index} in each row")
    return counts


def _class_weights(weight: Array | None, Z: Array) -> Array:
    if weight is None:
        return np.ones(Z.shape[1], Z.dtype)
    check_arrays(Z=(Z, "n, k"), weight=(weight, "k"))
    check_finite("weight", weight)
    if weight.min() < 0:
        raise ValueError(f"expected class weights from 0 up, got {weight.min()}")
    return weight


def _total(weights: Array) -> Array:
    total: Array = weights.sum()
    if not total:
        raise ValueError("expected a label whose class has a weight above 0, got weights of 0 only")
    return total
