"""Activation functions: sigmoid, ReLU and softmax, each as a value, a forward and a backward."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, check_arrays

__all__ = [
    "relu",
    "relu_backward",
    "relu_forward",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax",
    "softmax_backward",
    "softmax_forward",
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
    for z below −88 in float32 and below −709 in float64.

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


def softmax(Z: Array) -> Array:
    """Turn every row of k logits into k probabilities.

    p_j = e^(z_j − m) / Σ_l e^(z_l − m), with m the largest logit of the row

    Parameters
    ----------
    Z : ndarray of shape (..., k)
        Logits; each row along the last axis is one example.

    Returns
    -------
    ndarray of shape (..., k)
        Probabilities; each row sums to 1.

    Raises
    ------
    ValueError
        If there is no class, k = 0; the message gives the shape.
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Notes
    -----
    Subtracting m changes nothing in the quotient, and no exponent is above 0, so that logits such
    as 1000 do not overflow.

    Examples
    --------
    >>> softmax(np.array([[1000.0, 1000.0, 0.0, 0.0]]))
    array([[0.5, 0.5, 0. , 0. ]])
    """
    _check_classes(Z)
    E = np.exp(Z - Z.max(axis=-1, keepdims=True))  # (..., k)
    P: Array = E / E.sum(axis=-1, keepdims=True)
    return P


def softmax_forward(Z: Array) -> tuple[Array, Array]:
    """Turn logits into probabilities, and keep them for the backward pass.

    P = softmax(Z)

    Parameters
    ----------
    Z : ndarray of shape (..., k)
        Logits; each row along the last axis is one example.

    Returns
    -------
    P : ndarray of shape (..., k)
        Probabilities; each row sums to 1.
    cache : ndarray of shape (..., k)
        P itself, not a copy.

    Raises
    ------
    ValueError
        If there is no class, k = 0; the message gives the shape.
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Examples
    --------
    >>> P, cache = softmax_forward(np.log(np.array([[1.0, 3.0]])))
    >>> P
    array([[0.25, 0.75]])
    """
    P = softmax(Z)
    return P, P


def softmax_backward(dP: Array, cache: Array) -> Array:
    """Carry the gradient of the loss back through softmax.

    dz_j = p_j (dp_j − Σ_l dp_l p_l), row by row

    Parameters
    ----------
    dP : ndarray of shape (..., k)
        Upstream gradient: the derivative of the loss with respect to P.
    cache : ndarray of shape (..., k)
        What ``softmax_forward`` kept: P.

    Returns
    -------
    ndarray of shape (..., k)
        Derivative of the loss with respect to Z; each row sums to 0.

    Raises
    ------
    ValueError
        If the shape of dP is not that of P; the message gives both.
    TypeError
        If dP does not hold floats of the dtype of P; the message gives what it holds.

    Notes
    -----
    An upstream gradient of ones gives 0 whatever P is, because a row of P sums to 1: it cannot
    test this function.

    Examples
    --------
    >>> softmax_backward(np.array([[1.0, 0.0]]), cache=np.array([[0.25, 0.75]]))
    array([[ 0.1875, -0.1875]])
    """
    P = cache
    check_arrays(P=(P, "..., k"), dP=(dP, "..., k"))
    mean: Array = (dP * P).sum(axis=-1, keepdims=True)  # (..., 1), under the probabilities P
    return P * (dP - mean)


def _check_classes(Z: Array) -> None:
    check_arrays(Z=(Z, "..., k"))
    if not Z.shape[-1]:
        raise ValueError(f"expected logits of at least one class, got Z of shape {Z.shape}")
