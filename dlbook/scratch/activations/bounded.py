"""Activations that squash numbers into an interval: sigmoid and tanh."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, check_arrays

__all__ = [
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_forward",
    "tanh",
    "tanh_backward",
    "tanh_forward",
]


def sigmoid(Z: Array) -> Array:
    """Squash every number into the range from 0 to 1.

    σ(z) = 1 / (1 + e⁻ᶻ) for z ≥ 0, and the equal e^z / (1 + e^z) for z < 0

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    ndarray of shape (...)
        σ(z) of every entry.

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Notes
    -----
    Only e^(−|z|) is computed, which is at most 1: the formula as it is usually written overflows
    for z below −88.73 in float32 and below −709.79 in float64.

    Examples
    --------
    >>> sigmoid(np.array([-10_000.0, 0.0, np.log(3.0)]))
    array([0.  , 0.5 , 0.75])
    """
    check_arrays(Z=(Z, "..."))
    E = np.exp(-np.abs(Z))  # (...), from 0 to 1
    A: Array = np.where(Z >= 0, 1, E) / (1 + E)
    return A


def sigmoid_forward(Z: Array) -> tuple[Array, Array]:
    """Compute σ(z) of every entry, and keep it for the backward pass.

    A = σ(Z)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    A : ndarray of shape (...)
        Activations, from 0 to 1.
    cache : ndarray of shape (...)
        A itself, not a copy.

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Examples
    --------
    >>> A, cache = sigmoid_forward(np.array([[0.0]]))
    >>> A
    array([[0.5]])
    """
    A = sigmoid(Z)
    return A, A


def sigmoid_backward(dA: Array, cache: Array) -> Array:
    """Carry the gradient of the loss back through the sigmoid.

    dZ = dA ∘ σ′(Z), where σ′ = σ (1 − σ)

    Parameters
    ----------
    dA : ndarray of shape (...)
        Upstream gradient: the derivative of the loss with respect to A.
    cache : ndarray of shape (...)
        What ``sigmoid_forward`` kept: A.

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to Z.

    Raises
    ------
    ValueError
        If the shape of dA is not that of A; the message gives both.
    TypeError
        If dA does not hold floats of the dtype of A; the message gives what it holds.

    Examples
    --------
    >>> sigmoid_backward(np.array([[8.0]]), cache=np.array([[0.5]]))
    array([[2.]])
    """
    A = cache
    check_arrays(A=(A, "..."), dA=(dA, "..."))
    return dA * A * (1 - A)


def tanh(Z: Array) -> Array:
    """Squash every number into the range from −1 to 1.

    tanh(z) = (e^z − e⁻ᶻ) / (e^z + e⁻ᶻ)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    ndarray of shape (...)
        tanh(z) of every entry.

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Notes
    -----
    It is a sigmoid stretched and moved: tanh(z) = 2 σ(2z) − 1.

    Examples
    --------
    >>> tanh(np.array([-10_000.0, 0.0, np.log(3.0)]))
    array([-1. ,  0. ,  0.8])
    """
    check_arrays(Z=(Z, "..."))
    A: Array = np.tanh(Z)
    return A


def tanh_forward(Z: Array) -> tuple[Array, Array]:
    """Compute tanh(z) of every entry, and keep it for the backward pass.

    A = tanh(Z)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    A : ndarray of shape (...)
        Activations, from −1 to 1.
    cache : ndarray of shape (...)
        A itself, not a copy.

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Examples
    --------
    >>> A, cache = tanh_forward(np.array([[0.0]]))
    >>> A
    array([[0.]])
    """
    A = tanh(Z)
    return A, A


def tanh_backward(dA: Array, cache: Array) -> Array:
    """Carry the gradient of the loss back through tanh.

    dZ = dA ∘ tanh′(Z), where tanh′ = 1 − tanh²

    Parameters
    ----------
    dA : ndarray of shape (...)
        Upstream gradient: the derivative of the loss with respect to A.
    cache : ndarray of shape (...)
        What ``tanh_forward`` kept: A.

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to Z.

    Raises
    ------
    ValueError
        If the shape of dA is not that of A; the message gives both.
    TypeError
        If dA does not hold floats of the dtype of A; the message gives what it holds.

    Examples
    --------
    >>> tanh_backward(np.array([[4.0]]), cache=np.array([[0.5]]))
    array([[3.]])
    """
    A = cache
    check_arrays(A=(A, "..."), dA=(dA, "..."))
    return dA * (1 - A**2)
