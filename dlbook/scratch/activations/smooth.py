"""Activations that grow like ReLU without a corner: softplus and SiLU."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.activations.bounded import sigmoid
from dlbook.scratch.checks import Array, check_arrays

__all__ = [
    "silu",
    "silu_backward",
    "silu_forward",
    "softplus",
    "softplus_backward",
    "softplus_forward",
]

Gated = tuple[Array, Array]


def softplus(Z: Array) -> Array:
    """Round off the corner of ReLU: near 0 far below 0, near z far above.

    softplus(z) = ln(1 + e^z) = max(z, 0) + ln(1 + e^(−|z|))

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    ndarray of shape (...)
        ln(1 + e^z) of every entry.

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Notes
    -----
    The second form is the first one rearranged so that nothing overflows. PyTorch returns z
    itself above its threshold of 20, and so differs there by up to 2.1·10⁻⁹.

    Examples
    --------
    >>> softplus(np.array([-10_000.0, 0.0, 10_000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+04])
    """
    check_arrays(Z=(Z, "..."))
    A: Array = np.maximum(Z, 0) + np.log1p(np.exp(-np.abs(Z)))
    return A


def softplus_forward(Z: Array) -> tuple[Array, Array]:
    """Compute softplus of every entry, and keep Z for the backward pass.

    A = softplus(Z)

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
    >>> A, cache = softplus_forward(np.log(np.array([[1.0, 3.0]])))
    >>> np.exp(A)
    array([[2., 4.]])
    """
    return softplus(Z), Z


def softplus_backward(dA: Array, cache: Array) -> Array:
    """Carry the gradient of the loss back through softplus, whose slope is the sigmoid.

    dZ = dA ∘ σ(Z)

    Parameters
    ----------
    dA : ndarray of shape (...)
        Upstream gradient: the derivative of the loss with respect to A.
    cache : ndarray of shape (...)
        What ``softplus_forward`` kept: Z.

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

    Examples
    --------
    >>> softplus_backward(np.array([[8.0, 8.0]]), cache=np.array([[0.0, np.log(3.0)]]))
    array([[4., 6.]])
    """
    Z = cache
    check_arrays(Z=(Z, "..."), dA=(dA, "..."))
    return dA * sigmoid(Z)


def silu(Z: Array) -> Array:
    """Weight every number by its own sigmoid.

    silu(z) = z σ(z)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    ndarray of shape (...)
        z σ(z) of every entry.

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Notes
    -----
    Also called swish. It is lowest, −0.278, at z = −1.278.

    References
    ----------
    S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-Weighted Linear Units for Neural Network Function
    Approximation in Reinforcement Learning", Neural Networks 107, 2018, section 2.

    Examples
    --------
    >>> silu(np.array([-10_000.0, 0.0, 10_000.0]))
    array([   -0.,     0., 10000.])
    """
    return Z * sigmoid(Z)


def silu_forward(Z: Array) -> tuple[Array, Gated]:
    """Compute SiLU of every entry, and keep Z and σ(Z) for the backward pass.

    A = Z ∘ σ(Z)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    A : ndarray of shape (...)
        Activations.
    cache : tuple
        Z itself, not a copy, and σ(Z).

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Examples
    --------
    >>> A, cache = silu_forward(np.array([[0.0, 8.0]]))
    >>> A
    array([[0.       , 7.9973172]])
    """
    S = sigmoid(Z)  # (...)
    return Z * S, (Z, S)


def silu_backward(dA: Array, cache: Gated) -> Array:
    """Carry the gradient of the loss back through SiLU.

    dZ = dA ∘ S ∘ (1 + Z ∘ (1 − S)), where S = σ(Z)

    Parameters
    ----------
    dA : ndarray of shape (...)
        Upstream gradient: the derivative of the loss with respect to A.
    cache : tuple
        What ``silu_forward`` kept: Z and σ(Z), both of shape (...).

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

    Examples
    --------
    >>> silu_backward(np.array([[8.0]]), cache=silu_forward(np.array([[0.0]]))[1])
    array([[4.]])
    """
    Z, S = cache
    check_arrays(Z=(Z, "..."), dA=(dA, "..."))
    return dA * S * (1 + Z * (1 - S))
