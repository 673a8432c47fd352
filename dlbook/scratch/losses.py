"""Losses: one number for how wrong a batch of outputs is, and its gradient.

Each loss is a mean, and 1/n stands here and nowhere else. A loss is passed to ``fit`` as its pair
of functions, (forward, backward): ``mse``, ``binary_cross_entropy_with_logits``, ``cross_entropy``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dlbook.scratch.activations import sigmoid
from dlbook.scratch.checks import Array, Labels, check_arrays, check_labels

__all__ = [
    "Loss",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "binary_cross_entropy_with_logits_forward",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "mse",
    "mse_backward",
    "mse_forward",
]

Loss = tuple[Callable[[Array, Any], tuple[float, Any]], Callable[[Any], Array]]


def mse_forward(Z: Array, Y: Array) -> tuple[float, Array]:
    """Compute the mean squared error over all entries.

    loss = 1/m Σ (z − y)², where m is the number of entries

    Parameters
    ----------
    Z : ndarray of shape (...)
        Predictions, usually (n, d_out).
    Y : ndarray of shape (...)
        Targets, of the shape of Z.

    Returns
    -------
    loss : float
        In squared units of Y.
    cache : ndarray of shape (...)
        The errors Z − Y.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no entry; the message gives the shapes.
    TypeError
        If Z and Y do not hold floats of one dtype; the message gives what they hold.

    Notes
    -----
    The mean is over all entries, of every output, as in ``torch.nn.MSELoss``. Half the sum over
    the outputs, which many derivations use, has a gradient d_out / 2 times as large.

    Y of shape (n,) against Z of shape (n, 1) is refused: broadcasting would compare every
    prediction with every target.

    Examples
    --------
    >>> loss, cache = mse_forward(np.array([[2.0], [5.0]]), np.array([[1.0], [2.0]]))
    >>> loss
    5.0
    """
    check_arrays(Z=(Z, "..."), Y=(Y, "..."))
    _check_some(Z)
    E = Z - Y  # (...)
    loss = np.mean(E**2)
    return float(loss), E


def mse_backward(cache: Array) -> Array:
    """Compute the gradient of the mean squared error.

    dZ = 2/m (Z − Y), where m is the number of entries

    Parameters
    ----------
    cache : ndarray of shape (...)
        What ``mse_forward`` kept: Z − Y.

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to Z.

    Examples
    --------
    >>> loss, cache = mse_forward(np.array([[2.0], [5.0]]), np.array([[1.0], [2.0]]))
    >>> mse_backward(cache)
    array([[1.],
           [3.]])
    """
    E = cache
    return 2 * E / E.size


def binary_cross_entropy_with_logits_forward(
    Z: Array, Y: Array
) -> tuple[float, tuple[Array, Array]]:
    """Compute the mean binary cross-entropy of the probabilities σ(z).

    loss = −1/m Σ (y ln σ(z) + (1 − y) ln(1 − σ(z))) = 1/m Σ (max(z, 0) − z y + ln(1 + e^(−|z|)))

    Parameters
    ----------
    Z : ndarray of shape (...)
        Logits, usually (n, 1) or (n,).
    Y : ndarray of shape (...)
        Targets of the shape and dtype of Z: 1 for yes, 0 for no, or a probability between.

    Returns
    -------
    loss : float
        In nats; ln 2 ≈ 0.693 for a model that knows nothing.
    cache : tuple
        Z and Y themselves, not copies.

    Raises
    ------
    ValueError
        If the shapes differ, there is no entry, or a target is not between 0 and 1; the message
        gives what came.
    TypeError
        If Z and Y do not hold floats of one dtype; the message gives what they hold.

    Notes
    -----
    Takes logits, never probabilities: a sigmoid before this loss would be applied twice. The second
    form is the first one rearranged so that nothing overflows and no logarithm of 0 is taken.
    ``torch.nn.BCEWithLogitsLoss`` is the same.

    Examples
    --------
    >>> loss, cache = binary_cross_entropy_with_logits_forward(np.zeros((2, 1)), np.ones((2, 1)))
    >>> loss
    0.6931471805599453
    """
    check_arrays(Z=(Z, "..."), Y=(Y, "..."))
    _check_some(Z)
    _check_probabilities(Y)
    losses = np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z)))  # (...)
    return float(np.mean(losses)), (Z, Y)


def binary_cross_entropy_with_logits_backward(cache: tuple[Array, Array]) -> Array:
    """Compute the gradient of the mean binary cross-entropy with respect to the logits.

    dZ = 1/m (σ(Z) − Y), where m is the number of entries

    Parameters
    ----------
    cache : tuple
        What ``binary_cross_entropy_with_logits_forward`` kept: Z and Y of one shape (...).

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to Z.

    Examples
    --------
    >>> loss, cache = binary_cross_entropy_with_logits_forward(np.zeros((2, 1)), np.ones((2, 1)))
    >>> binary_cross_entropy_with_logits_backward(cache)
    array([[-0.25],
           [-0.25]])
    """
    Z, Y = cache
    return (sigmoid(Z) - Y) / Z.size


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
    ``torch.nn.CrossEntropyLoss`` is the same.

    Examples
    --------
    >>> loss, cache = cross_entropy_forward(np.zeros((1, 4)), np.array([2]))
    >>> loss, np.log(4.0).item()
    (1.3862943611198906, 1.3862943611198906)
    """
    check_arrays(Z=(Z, "n, k"))
    check_labels(y, Z)
    _check_some(Z)
    n = len(y)
    shifted = Z - Z.max(axis=1, keepdims=True)  # (n, k), at most 0
    log_P = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (n, k)
    loss = -log_P[np.arange(n), y].mean()
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


mse: Loss = (mse_forward, mse_backward)
binary_cross_entropy_with_logits: Loss = (
    binary_cross_entropy_with_logits_forward,
    binary_cross_entropy_with_logits_backward,
)
cross_entropy: Loss = (cross_entropy_forward, cross_entropy_backward)


def _check_some(Z: Array) -> None:
    if not Z.size:
        raise ValueError(
            f"expected at least one entry, since a mean over nothing has no value; got {Z.shape}"
        )


def _check_probabilities(Y: Array) -> None:
    if not (Y.min() >= 0 and Y.max() <= 1):
        raise ValueError(
            f"expected targets from 0 to 1, got from {Y.min()} to {Y.max()}: "
            "class 1 is the target 1, class 0 the target 0"
        )
