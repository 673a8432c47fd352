"""Losses of predicted numbers: squared, absolute, and Huber's, which is both."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, check_arrays, check_number
from dlbook.scratch.losses.pairs import Loss, check_some

__all__ = [
    "huber",
    "huber_backward",
    "huber_forward",
    "mae",
    "mae_backward",
    "mae_forward",
    "mse",
    "mse_backward",
    "mse_forward",
]


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
    check_some(Z)
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


def mae_forward(Z: Array, Y: Array) -> tuple[float, Array]:
    """Compute the mean absolute error over all entries.

    loss = 1/m Σ |z − y|, where m is the number of entries

    Parameters
    ----------
    Z : ndarray of shape (...)
        Predictions, usually (n, d_out).
    Y : ndarray of shape (...)
        Targets, of the shape of Z.

    Returns
    -------
    loss : float
        In units of Y.
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
    ``torch.nn.L1Loss`` is the same. The constant prediction with the least squared error is the
    mean of the targets, that with the least absolute error their median.

    Examples
    --------
    >>> loss, cache = mae_forward(np.array([[2.0], [5.0]]), np.array([[1.0], [7.0]]))
    >>> loss
    1.5
    """
    check_arrays(Z=(Z, "..."), Y=(Y, "..."))
    check_some(Z)
    E = Z - Y  # (...)
    loss = np.mean(np.abs(E))
    return float(loss), E


def mae_backward(cache: Array) -> Array:
    """Compute the gradient of the mean absolute error: of one size, however large the error is.

    dZ = 1/m sign(Z − Y), where m is the number of entries

    Parameters
    ----------
    cache : ndarray of shape (...)
        What ``mae_forward`` kept: Z − Y.

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to Z.

    Notes
    -----
    Where the error is 0 there is no derivative; 0 is used, as in PyTorch.

    Examples
    --------
    >>> loss, cache = mae_forward(np.array([[2.0], [5.0]]), np.array([[1.0], [7.0]]))
    >>> mae_backward(cache)
    array([[ 0.5],
           [-0.5]])
    """
    E = cache
    dZ: Array = np.sign(E) / E.size
    return dZ


def huber_forward(Z: Array, Y: Array, *, delta: float = 1.0) -> tuple[float, Array]:
    """Compute the mean Huber loss: squared for small errors, absolute for large ones.

    loss = 1/m Σ h(z − y), where h(e) = e²/2 for |e| ≤ δ and δ (|e| − δ/2) for |e| > δ; with c as e
    cut off at ±δ, both are h(e) = c (e − c/2)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Predictions, usually (n, d_out).
    Y : ndarray of shape (...)
        Targets, of the shape of Z.
    delta : float, default 1
        Where the parabola turns into straight lines, in units of Y; above 0.

    Returns
    -------
    loss : float
        In squared units of Y.
    cache : ndarray of shape (...)
        The errors Z − Y, cut off at ±δ.

    Raises
    ------
    ValueError
        If the shapes differ, there is no entry, or ``delta`` is not above 0 and finite; the
        message gives what came.
    TypeError
        If Z and Y do not hold floats of one dtype, or ``delta`` is no number; the message gives
        what came.

    Notes
    -----
    ``torch.nn.HuberLoss`` is the same. ``torch.nn.SmoothL1Loss`` is this divided by δ. For a large
    δ it is half of ``mse_forward``, not the whole.

    References
    ----------
    P. J. Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics
    35, 1964, section 3.

    Examples
    --------
    >>> loss, cache = huber_forward(np.array([[1.0], [5.0]]), np.array([[0.0], [2.0]]), delta=2.0)
    >>> loss  # (1/2 + 2 (3 − 1)) / 2
    2.25
    """
    check_arrays(Z=(Z, "..."), Y=(Y, "..."))
    check_some(Z)
    _check_delta(delta)
    E = Z - Y  # (...)
    C = np.clip(E, -float(delta), float(delta))  # (...)
    loss = np.mean(C * (E - C / 2))
    return float(loss), C


def huber_backward(cache: Array) -> Array:
    """Compute the gradient of the mean Huber loss: no entry pulls harder than δ.

    dZ = 1/m C, where C is Z − Y cut off at ±δ, and m the number of entries

    Parameters
    ----------
    cache : ndarray of shape (...)
        What ``huber_forward`` kept: C.

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to Z.

    Examples
    --------
    >>> loss, cache = huber_forward(np.array([[1.0], [5.0]]), np.array([[0.0], [2.0]]), delta=2.0)
    >>> huber_backward(cache)
    array([[0.5],
           [1. ]])
    """
    C = cache
    return C / C.size


mse: Loss = (mse_forward, mse_backward)
mae: Loss = (mae_forward, mae_backward)
huber: Loss = (huber_forward, huber_backward)


def _check_delta(delta: float) -> None:
    check_number("delta", delta, 0)
    if delta == 0:
        raise ValueError("expected delta above 0, got 0: every error would cost nothing")
