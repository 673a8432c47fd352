"""Convolution: the same weighted sum at every place of an image."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, check_arrays, check_whole

__all__ = ["Cache", "add_patches", "conv2d_backward", "conv2d_forward", "patches"]

Cache = tuple[Array, Array, tuple[int, int], int, int]


def patches(X: Array, size: tuple[int, int], *, stride: int = 1, padding: int = 0) -> Array:
    """Cut out the patch of every image that the kernel sees at each of its places.

    P_icklyx = X_i,c,(s y + k − p),(s x + l − p), and 0 where that lies outside the image; there are
    h_out = ⌊(h + 2p − kh) / s⌋ + 1 places from top to bottom, and w_out likewise

    Parameters
    ----------
    X : ndarray of shape (n, c, h, w)
        Images.
    size : tuple of int
        Height kh and width kw of the kernel, in pixels.
    stride : int, default 1
        Pixels s from one place of the kernel to the next.
    padding : int, default 0
        Rows and columns p of zeros put around each image.

    Returns
    -------
    ndarray of shape (n, c, kh, kw, h_out, w_out)
        For each place (y, x) of the kernel what it sees there. A view without copies, which cannot
        be written to: patches that overlap share their pixels.

    Raises
    ------
    ValueError
        If the kernel does not fit into the padded images, or a number is out of range; the message
        gives what came.
    TypeError
        If X does not hold floats, or a number is not whole; the message gives what came.

    Notes
    -----
    Where the stride does not divide, the last rows or columns are not seen.

    Examples
    --------
    >>> X = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> patches(X, (2, 2))[0, 0, :, :, 1, 0]  # in the second row of places the first
    array([[3., 4.],
           [6., 7.]])
    """
    check_arrays(X=(X, "n, c, h, w"))
    _count_places(X.shape[2:], size, stride, padding)
    around = (padding, padding)
    padded = np.pad(X, ((0, 0), (0, 0), around, around)) if padding else X
    P = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    return P[:, :, ::stride, ::stride].transpose(0, 1, 4, 5, 2, 3)


def add_patches(dP: Array, size: tuple[int, int], *, stride: int = 1, padding: int = 0) -> Array:
    """Add up what all patches say of each pixel: the way back through ``patches``.

    dX_ichw = Σ dP_icklyx, over all k, l, y, x with s y + k − p = h and s x + l − p = w

    Parameters
    ----------
    dP : ndarray of shape (n, c, kh, kw, h_out, w_out)
        Derivative of the loss with respect to the patches.
    size : tuple of int
        Height h and width w of the images, in pixels.
    stride : int, default 1
        As it was given to ``patches``.
    padding : int, default 0
        As it was given to ``patches``.

    Returns
    -------
    ndarray of shape (n, c, h, w)
        Derivative of the loss with respect to the images; 0 for a pixel that no patch holds.

    Raises
    ------
    ValueError
        If ``patches`` does not make so many of such images, or a number is out of range; the
        message gives what came.
    TypeError
        If dP does not hold floats, or a number is not whole; the message gives what came.

    Notes
    -----
    The loop goes over the places in the kernel, which are few: all pixels that stand at one place
    of their patches are added at once.

    Examples
    --------
    >>> add_patches(np.ones((1, 1, 2, 2, 2, 2)), (3, 3))[0, 0]  # how many patches hold each pixel
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    check_arrays(dP=(dP, "n, c, kh, kw, h_out, w_out"))
    n, c, kh, kw, h_out, w_out = dP.shape
    h, w = size
    if _count_places(size, (kh, kw), stride, padding) != (h_out, w_out):
        raise ValueError(
            f"expected patches of images of {h} x {w} pixels, at stride {stride} and padding "
            f"{padding}, got dP of shape {dP.shape}"
        )
    dX = np.zeros((n, c, h + 2 * padding, w + 2 * padding), dtype=dP.dtype)
    for k in range(kh):
        for l in range(kw):  # noqa: E741  # the index of the equation
            rows = slice(k, k + stride * h_out, stride)
            columns = slice(l, l + stride * w_out, stride)
            dX[:, :, rows, columns] += dP[:, :, k, l]  # (n, c, h_out, w_out)
    return dX[:, :, padding : padding + h, padding : padding + w]


def conv2d_forward(
    X: Array, W: Array, b: Array, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Cache]:
    """Hold every filter against every patch of every image: a weighted sum and a bias for each.

    Z_ioyx = Σ_ckl W_ockl P_icklyx + b_o, where P are the patches of X

    Parameters
    ----------
    X : ndarray of shape (n, c_in, h, w)
        Images, each of c_in channels.
    W : ndarray of shape (c_out, c_in, kh, kw)
        Filters, each of the shape of a patch.
    b : ndarray of shape (c_out,)
        Biases, one for each filter.
    stride : int, default 1
        Pixels from one place of the filters to the next.
    padding : int, default 0
        Rows and columns of zeros put around each image.

    Returns
    -------
    Z : ndarray of shape (n, c_out, h_out, w_out)
        Pre-activations, an image for each filter.
    cache : tuple
        The patches, W itself, height and width of the images, stride and padding.

    Raises
    ------
    ValueError
        If a shape does not fit the others, the filters do not fit into the padded images, or a
        number is out of range; the message gives what came.
    TypeError
        If the arrays do not hold floats of one dtype, or a number is not whole; the message gives
        what came.

    Notes
    -----
    Patches become columns, filters become rows, and the sums become one matrix product for each
    image. What deep learning calls convolution is cross-correlation: the filters are not turned
    around. Unlike the W of ``linear_forward``, this one has the layout of ``torch.nn.Conv2d``,
    because then W[o] looks like the patch that it answers to most.

    References
    ----------
    K. Chellapilla et al., "High Performance Convolutional Neural Networks for Document
    Processing", IWFHR 2006, section 3, "Unrolling Convolution".

    Examples
    --------
    >>> X = np.array([[[[0.0, 0.0, 1.0, 1.0]]]])
    >>> edge = np.array([[[[-1.0, 1.0]]]])
    >>> conv2d_forward(X, edge, np.zeros(1))[0]
    array([[[[0., 1., 0.]]]])
    """
    check_arrays(W=(W, "c_out, c_in, kh, kw"), b=(b, "c_out"), X=(X, "n, c_in, h, w"))
    n, _, h, w = X.shape
    c_out, c_in, kh, kw = W.shape
    P = np.ascontiguousarray(patches(X, (kh, kw), stride=stride, padding=padding))
    h_out, w_out = P.shape[-2:]
    columns = P.reshape(n, c_in * kh * kw, h_out * w_out)
    Z = W.reshape(c_out, c_in * kh * kw) @ columns + b[:, np.newaxis]  # (n, c_out, h_out * w_out)
    return Z.reshape(n, c_out, h_out, w_out), (P, W, (h, w), stride, padding)


def conv2d_backward(dZ: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Carry the gradient of the loss from the weighted sums back to the images and the filters.

    dP_icklyx = Σ_o W_ockl dZ_ioyx, and dX adds up dP; dW_ockl = Σ_iyx dZ_ioyx P_icklyx, and
    db_o = Σ_iyx dZ_ioyx

    Parameters
    ----------
    dZ : ndarray of shape (n, c_out, h_out, w_out)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : tuple
        What ``conv2d_forward`` returned.

    Returns
    -------
    dX : ndarray of shape (n, c_in, h, w)
        Derivative of the loss with respect to X.
    dW : ndarray of shape (c_out, c_in, kh, kw)
        Derivative of the loss with respect to W.
    db : ndarray of shape (c_out,)
        Derivative of the loss with respect to b.

    Raises
    ------
    ValueError
        If the shape of dZ is not that of Z; the message gives both.
    TypeError
        If dZ does not hold floats of the dtype of X; the message gives what it holds.

    Notes
    -----
    A filter is used at every place, and the contributions of all places add up.

    Examples
    --------
    >>> X, W, b = np.array([[[[0.0, 0.0, 1.0]]]]), np.array([[[[-1.0, 1.0]]]]), np.zeros(1)
    >>> dX, dW, db = conv2d_backward(np.array([[[[1.0, 10.0]]]]), conv2d_forward(X, W, b)[1])
    >>> dX.ravel(), dW.ravel(), db
    (array([-1., -9., 10.]), array([ 0., 10.]), array([11.]))
    """
    P, W, size, stride, padding = cache
    check_arrays(
        P=(P, "n, c_in, kh, kw, h_out, w_out"),
        W=(W, "c_out, c_in, kh, kw"),
        dZ=(dZ, "n, c_out, h_out, w_out"),
    )
    n, c_in, kh, kw, h_out, w_out = P.shape
    c_out = len(W)
    columns = P.reshape(n, c_in * kh * kw, h_out * w_out)
    rows = W.reshape(c_out, c_in * kh * kw)
    dZ = dZ.reshape(n, c_out, h_out * w_out)
    dP = (rows.T @ dZ).reshape(P.shape)
    dX = add_patches(dP, size, stride=stride, padding=padding)  # (n, c_in, h, w)
    dW = (dZ @ columns.transpose(0, 2, 1)).sum(axis=0).reshape(W.shape)
    db = dZ.sum(axis=(0, 2))  # (c_out,)
    return dX, dW, db


def _count_places(
    image: tuple[int, ...], kernel: tuple[int, int], stride: int, padding: int
) -> tuple[int, int]:
    """Count the places of a kernel in an image, from top to bottom and from left to right."""
    for name, value in zip(("kernel height", "kernel width"), kernel, strict=True):
        check_whole(name, value)
    check_whole("stride", stride)
    check_whole("padding", padding, least=0)
    h, w = (length + 2 * padding - k for length, k in zip(image, kernel, strict=True))
    if h < 0 or w < 0:
        raise ValueError(
            f"expected a kernel that fits into images of {image[0]} x {image[1]} pixels with "
            f"padding {padding}, got one of {kernel[0]} x {kernel[1]} pixels"
        )
    return h // stride + 1, w // stride + 1
