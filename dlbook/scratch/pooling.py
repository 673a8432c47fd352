"""Pooling, which makes images smaller, and flattening, which makes them rows. No parameters."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, Labels, check_arrays
from dlbook.scratch.convolution import add_patches, patches

__all__ = [
    "average_pool2d_backward",
    "average_pool2d_forward",
    "flatten_backward",
    "flatten_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
]

MaxCache = tuple[Labels, Array, int, int]
AverageCache = tuple[Array, int, int]


def max_pool2d_forward(
    X: Array, *, size: int = 2, stride: int | None = None
) -> tuple[Array, MaxCache]:
    """Keep the largest pixel of every patch.

    Z_icyx = max_kl P_icklyx, where P are the patches of X

    Parameters
    ----------
    X : ndarray of shape (n, c, h, w)
        Images.
    size : int, default 2
        Height and width of a patch, in pixels.
    stride : int, default size
        Pixels from one patch to the next.

    Returns
    -------
    Z : ndarray of shape (n, c, h_out, w_out)
        Smaller images.
    cache : tuple
        For each patch where in it the largest pixel stands, X itself, size and stride.

    Raises
    ------
    ValueError
        If a patch does not fit into the images, or a number is out of range; the message gives
        what came.
    TypeError
        If X does not hold floats, or a number is not whole; the message gives what came.

    Notes
    -----
    Of equal pixels the first counts, row by row, as in ``torch.nn.MaxPool2d``. Rows and columns
    that fill no patch are left out: five pixels make two patches of two.

    Examples
    --------
    >>> max_pool2d_forward(np.arange(20.0).reshape(1, 1, 4, 5))[0]
    array([[[[ 6.,  8.],
             [16., 18.]]]])
    """
    stride = size if stride is None else stride
    P = patches(X, (size, size), stride=stride)
    n, c, h_out, w_out = *P.shape[:2], *P.shape[4:]
    P = P.reshape(n, c, size * size, h_out, w_out)
    first = P.argmax(axis=2)[:, :, np.newaxis]  # (n, c, 1, h_out, w_out)
    Z = np.take_along_axis(P, first, axis=2).reshape(n, c, h_out, w_out)
    return Z, (first, X, size, stride)


def max_pool2d_backward(dZ: Array, cache: MaxCache) -> Array:
    """Carry the gradient of the loss back to the pixel that was the largest of its patch.

    dP_icklyx = dZ_icyx where (k, l) is where the largest pixel stands, and 0 elsewhere; dX adds
    up dP

    Parameters
    ----------
    dZ : ndarray of shape (n, c, h_out, w_out)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : tuple
        What ``max_pool2d_forward`` returned.

    Returns
    -------
    ndarray of shape (n, c, h, w)
        Derivative of the loss with respect to X.

    Raises
    ------
    ValueError
        If the shape of dZ is not that of Z; the message gives both.
    TypeError
        If dZ does not hold floats of the dtype of X; the message gives what it holds.

    Examples
    --------
    >>> Z, cache = max_pool2d_forward(np.array([[[[1.0, 3.0], [3.0, 2.0]]]]))
    >>> max_pool2d_backward(np.array([[[[5.0]]]]), cache)
    array([[[[0., 5.],
             [0., 0.]]]])
    """
    first, X, size, stride = cache
    n, c, _, h_out, w_out = first.shape
    _check_upstream(dZ, X, (h_out, w_out))
    dP = np.zeros((n, c, size * size, h_out, w_out), dtype=dZ.dtype)
    np.put_along_axis(dP, first, dZ[:, :, np.newaxis], axis=2)
    dP = dP.reshape(n, c, size, size, h_out, w_out)
    return add_patches(dP, X.shape[2:], stride=stride)


def average_pool2d_forward(
    X: Array, *, size: int = 2, stride: int | None = None
) -> tuple[Array, AverageCache]:
    """Take the mean of every patch.

    Z_icyx = (1 / s²) Σ_kl P_icklyx, where P are the patches of X and s is their size

    Parameters
    ----------
    X : ndarray of shape (n, c, h, w)
        Images.
    size : int, default 2
        Height and width s of a patch, in pixels.
    stride : int, default size
        Pixels from one patch to the next.

    Returns
    -------
    Z : ndarray of shape (n, c, h_out, w_out)
        Smaller images.
    cache : tuple
        X itself, size and stride.

    Raises
    ------
    ValueError
        If a patch does not fit into the images, or a number is out of range; the message gives
        what came.
    TypeError
        If X does not hold floats, or a number is not whole; the message gives what came.

    Notes
    -----
    Rows and columns that fill no patch are left out, as in ``torch.nn.AvgPool2d``.

    Examples
    --------
    >>> average_pool2d_forward(np.arange(20.0).reshape(1, 1, 4, 5))[0]
    array([[[[ 3.,  5.],
             [13., 15.]]]])
    """
    stride = size if stride is None else stride
    Z: Array = patches(X, (size, size), stride=stride).mean(axis=(2, 3))  # (n, c, h_out, w_out)
    return Z, (X, size, stride)


def average_pool2d_backward(dZ: Array, cache: AverageCache) -> Array:
    """Carry the gradient of the loss back to all pixels of a patch, in equal shares.

    dP_icklyx = dZ_icyx / s², and dX adds up dP

    Parameters
    ----------
    dZ : ndarray of shape (n, c, h_out, w_out)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : tuple
        What ``average_pool2d_forward`` returned.

    Returns
    -------
    ndarray of shape (n, c, h, w)
        Derivative of the loss with respect to X.

    Raises
    ------
    ValueError
        If the shape of dZ is not that of Z; the message gives both.
    TypeError
        If dZ does not hold floats of the dtype of X; the message gives what it holds.

    Examples
    --------
    >>> Z, cache = average_pool2d_forward(np.array([[[[1.0, 3.0], [3.0, 2.0]]]]))
    >>> average_pool2d_backward(np.array([[[[4.0]]]]), cache)
    array([[[[1., 1.],
             [1., 1.]]]])
    """
    X, size, stride = cache
    shape = patches(X, (size, size), stride=stride).shape
    _check_upstream(dZ, X, shape[4:])
    dP = np.broadcast_to(dZ[:, :, np.newaxis, np.newaxis] / size**2, shape)
    return add_patches(dP, X.shape[2:], stride=stride)


def flatten_forward(X: Array) -> tuple[Array, Array]:
    """Lay the pixels of every example out in one row.

    Parameters
    ----------
    X : ndarray of shape (n, c, h, w)
        Images.

    Returns
    -------
    Z : ndarray of shape (n, d)
        Rows of d = c h w numbers: channel by channel, row by row.
    cache : ndarray of shape (n, c, h, w)
        X itself, not a copy.

    Raises
    ------
    ValueError
        If X has another number of axes; the message gives its shape.
    TypeError
        If X does not hold floats; the message gives what it holds.

    Examples
    --------
    >>> flatten_forward(np.arange(4.0).reshape(1, 1, 2, 2))[0]
    array([[0., 1., 2., 3.]])
    """
    check_arrays(X=(X, "n, c, h, w"))
    n, c, h, w = X.shape
    return X.reshape(n, c * h * w), X


def flatten_backward(dZ: Array, cache: Array) -> Array:
    """Give every number of the gradient the place of its pixel.

    Parameters
    ----------
    dZ : ndarray of shape (n, d)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : ndarray of shape (n, c, h, w)
        What ``flatten_forward`` kept: X.

    Returns
    -------
    ndarray of shape (n, c, h, w)
        Derivative of the loss with respect to X.

    Raises
    ------
    ValueError
        If the shape of dZ is not that of Z; the message gives both.
    TypeError
        If dZ does not hold floats of the dtype of X; the message gives what it holds.

    Examples
    --------
    >>> flatten_backward(np.array([[5.0, 6.0]]), cache=np.zeros((1, 1, 2, 1)))
    array([[[[5.],
             [6.]]]])
    """
    X = cache
    check_arrays(Z=(flatten_forward(X)[0], "n, d"), dZ=(dZ, "n, d"))
    return dZ.reshape(X.shape)


def _check_upstream(dZ: Array, X: Array, places: tuple[int, ...]) -> None:
    Z = np.broadcast_to(X.dtype.type(0), (*X.shape[:2], *places))
    check_arrays(Z=(Z, "n, c, h_out, w_out"), dZ=(dZ, "n, c, h_out, w_out"))
