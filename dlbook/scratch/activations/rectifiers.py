"""Activations with a corner at 0: ReLU, leaky ReLU and ELU."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, check_arrays, check_number

__all__ = [
    "elu",
    "elu_backward",
    "elu_forward",
    "leaky_relu",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "relu",
    "relu_backward",
    "relu_forward",
]


def relu(Z: Array) -> Array:
    """Cut every number below 0 off at 0.

    relu(z) = max(z, 0)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    ndarray of shape (...)
        max(z, 0) of every entry.

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Examples
    --------
    >>> relu(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    check_arrays(Z=(Z, "..."))
    A: Array = np.maximum(Z, 0)
    return A


def relu_forward(Z: Array) -> tuple[Array, Array]:
    """Compute max(z, 0) of every entry, and keep Z for the backward pass.

    A = relu(Z)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    A : ndarray of shape (...)
        Activations, from 0 up.
    cache : ndarray of shape (...)
        Z itself, not a copy.

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Examples
    --------
    >>> A, cache = relu_forward(np.array([[-2.0, 3.0]]))
    >>> A
    array([[0., 3.]])
    """
    return relu(Z), Z


def relu_backward(dA: Array, cache: Array) -> Array:
    """Carry the gradient of the loss back through ReLU: it passes where z > 0 and stops elsewhere.

    dZ = dA ∘ [Z > 0]

    Parameters
    ----------
    dA : ndarray of shape (...)
        Upstream gradient: the derivative of the loss with respect to A.
    cache : ndarray of shape (...)
        What ``relu_forward`` kept: Z.

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to Z.

    Raises
    ------
    ValueError
        If the shape of dA is not that of Z; the message gives both.
    TypeError
        If dA does not hold floats of the dtype of Z; the message gives what it holds.

    Notes
    -----
    At z = 0 ReLU has no derivative; 0 is used, as in PyTorch.

    Examples
    --------
    >>> relu_backward(np.array([5.0, 5.0, 5.0]), cache=np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 5.])
    """
    Z = cache
    check_arrays(Z=(Z, "..."), dA=(dA, "..."))
    return dA * (Z > 0)


def leaky_relu(Z: Array, *, negative_slope: float = 0.01) -> Array:
    """Let numbers above 0 pass, and shrink those below.

    leaky_relu(z) = z for z > 0, and s z for z ≤ 0, with s the slope of that side

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.
    negative_slope : float, default 0.01
        What numbers below 0 are multiplied by; 0 or more.

    Returns
    -------
    ndarray of shape (...)
        z or s z, entry by entry.

    Raises
    ------
    ValueError
        If ``negative_slope`` is negative or not finite; the message gives it.
    TypeError
        If Z does not hold floats, or ``negative_slope`` is no number; the message gives what came.

    Notes
    -----
    Unlike ReLU it has a slope everywhere, so that no unit can stop learning for good.

    References
    ----------
    A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier Nonlinearities Improve Neural Network
    Acoustic Models", ICML 2013 workshop, section 2.

    Examples
    --------
    >>> leaky_relu(np.array([-2.0, 0.0, 3.0]), negative_slope=0.1)
    array([-0.2,  0. ,  3. ])
    """
    check_arrays(Z=(Z, "..."))
    slope = _number("negative_slope", negative_slope)
    A: Array = np.where(Z > 0, Z, slope * Z)
    return A


def leaky_relu_forward(
    Z: Array, *, negative_slope: float = 0.01
) -> tuple[Array, tuple[Array, float]]:
    """Compute leaky ReLU of every entry, and keep Z for the backward pass.

    A = leaky_relu(Z)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.
    negative_slope : float, default 0.01
        What numbers below 0 are multiplied by; 0 or more.

    Returns
    -------
    A : ndarray of shape (...)
        Activations.
    cache : tuple
        Z itself, not a copy, and the slope.

    Raises
    ------
    ValueError
        If ``negative_slope`` is negative or not finite; the message gives it.
    TypeError
        If Z does not hold floats, or ``negative_slope`` is no number; the message gives what came.

    Examples
    --------
    >>> A, cache = leaky_relu_forward(np.array([[-2.0, 3.0]]))
    >>> A
    array([[-0.02,  3.  ]])
    """
    return leaky_relu(Z, negative_slope=negative_slope), (Z, float(negative_slope))


def leaky_relu_backward(dA: Array, cache: tuple[Array, float]) -> Array:
    """Carry the gradient of the loss back through leaky ReLU.

    dz = da for z > 0, and s da for z ≤ 0

    Parameters
    ----------
    dA : ndarray of shape (...)
        Upstream gradient: the derivative of the loss with respect to A.
    cache : tuple
        What ``leaky_relu_forward`` kept: Z of shape (...) and the slope.

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to Z.

    Raises
    ------
    ValueError
        If the shape of dA is not that of Z; the message gives both.
    TypeError
        If dA does not hold floats of the dtype of Z; the message gives what it holds.

    Notes
    -----
    At z = 0 there is no derivative; s is used, as in PyTorch.

    Examples
    --------
    >>> leaky_relu_backward(np.array([5.0, 5.0]), cache=(np.array([-2.0, 3.0]), 0.1))
    array([0.5, 5. ])
    """
    Z, slope = cache
    check_arrays(Z=(Z, "..."), dA=(dA, "..."))
    dZ: Array = np.where(Z > 0, dA, slope * dA)
    return dZ


def elu(Z: Array, *, alpha: float = 1.0) -> Array:
    """Let numbers above 0 pass, and bend those below smoothly towards −α.

    elu(z) = z for z > 0, and α (e^z − 1) for z ≤ 0

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.
    alpha : float, default 1
        −α is what numbers far below 0 approach; 0 or more.

    Returns
    -------
    ndarray of shape (...)
        z or α (e^z − 1), entry by entry.

    Raises
    ------
    ValueError
        If ``alpha`` is negative or not finite; the message gives it.
    TypeError
        If Z does not hold floats, or ``alpha`` is no number; the message gives what came.

    Notes
    -----
    The exponential is taken of numbers up to 0 only, and so cannot overflow. ``expm1`` is
    e^z − 1 without the cancellation near z = 0.

    References
    ----------
    D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and Accurate Deep Network Learning by
    Exponential Linear Units (ELUs)", ICLR 2016, section 3.

    Examples
    --------
    >>> elu(np.array([-10_000.0, -np.log(2.0), 3.0]))
    array([-1. , -0.5,  3. ])
    """
    check_arrays(Z=(Z, "..."))
    alpha = _number("alpha", alpha)
    below = alpha * np.expm1(np.minimum(Z, 0))  # (...), from −α to 0
    A: Array = np.where(Z > 0, Z, below)
    return A


def elu_forward(Z: Array, *, alpha: float = 1.0) -> tuple[Array, tuple[Array, float]]:
    """Compute ELU of every entry, and keep Z for the backward pass.

    A = elu(Z)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.
    alpha : float, default 1
        −α is what numbers far below 0 approach; 0 or more.

    Returns
    -------
    A : ndarray of shape (...)
        Activations.
    cache : tuple
        Z itself, not a copy, and α.

    Raises
    ------
    ValueError
        If ``alpha`` is negative or not finite; the message gives it.
    TypeError
        If Z does not hold floats, or ``alpha`` is no number; the message gives what came.

    Examples
    --------
    >>> A, cache = elu_forward(np.array([[-np.log(2.0), 3.0]]))
    >>> A
    array([[-0.5,  3. ]])
    """
    return elu(Z, alpha=alpha), (Z, float(alpha))


def elu_backward(dA: Array, cache: tuple[Array, float]) -> Array:
    """Carry the gradient of the loss back through ELU.

    dz = da for z > 0, and da α e^z for z ≤ 0

    Parameters
    ----------
    dA : ndarray of shape (...)
        Upstream gradient: the derivative of the loss with respect to A.
    cache : tuple
        What ``elu_forward`` kept: Z of shape (...) and α.

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to Z.

    Raises
    ------
    ValueError
        If the shape of dA is not that of Z; the message gives both.
    TypeError
        If dA does not hold floats of the dtype of Z; the message gives what it holds.

    Notes
    -----
    At z = 0 there is no derivative unless α is 1; α is used, as in PyTorch.

    Examples
    --------
    >>> elu_backward(np.array([4.0, 4.0]), cache=(np.array([-np.log(2.0), 3.0]), 1.0))
    array([2., 4.])
    """
    Z, alpha = cache
    check_arrays(Z=(Z, "..."), dA=(dA, "..."))
    slope = alpha * np.exp(np.minimum(Z, 0))  # (...), from 0 to α
    dZ: Array = np.where(Z > 0, dA, dA * slope)
    return dZ


def _number(name: str, value: float) -> float:
    """Return an option as a float of Python, which leaves the dtype of arrays as it is."""
    check_number(name, value, 0)
    return float(value)
