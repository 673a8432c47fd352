"""Activations that turn logits into probabilities: softmax, and its logarithm."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, check_arrays

__all__ = [
    "log_softmax",
    "log_softmax_backward",
    "log_softmax_forward",
    "softmax",
    "softmax_backward",
    "softmax_forward",
]


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


def log_softmax(Z: Array) -> Array:
    """Turn every row of k logits into the logarithms of k probabilities.

    ln p_j = z_j − m − ln Σ_l e^(z_l − m), with m the largest logit of the row

    Parameters
    ----------
    Z : ndarray of shape (..., k)
        Logits; each row along the last axis is one example.

    Returns
    -------
    ndarray of shape (..., k)
        Logarithms of probabilities, at most 0, in nats.

    Raises
    ------
    ValueError
        If there is no class, k = 0; the message gives the shape.
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Notes
    -----
    The logarithm of what ``softmax`` returns would be −∞ wherever a probability has become 0.

    Examples
    --------
    >>> log_softmax(np.array([[1000.0, 0.0]]))
    array([[    0., -1000.]])
    """
    _check_classes(Z)
    shifted = Z - Z.max(axis=-1, keepdims=True)  # (..., k), at most 0
    log_P: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_P


def log_softmax_forward(Z: Array) -> tuple[Array, Array]:
    """Turn logits into logarithms of probabilities, and keep them for the backward pass.

    ln P = log_softmax(Z)

    Parameters
    ----------
    Z : ndarray of shape (..., k)
        Logits; each row along the last axis is one example.

    Returns
    -------
    log_P : ndarray of shape (..., k)
        Logarithms of probabilities, in nats.
    cache : ndarray of shape (..., k)
        ln P itself, not a copy.

    Raises
    ------
    ValueError
        If there is no class, k = 0; the message gives the shape.
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Examples
    --------
    >>> log_P, cache = log_softmax_forward(np.log(np.array([[1.0, 3.0]])))
    >>> np.exp(log_P)
    array([[0.25, 0.75]])
    """
    log_P = log_softmax(Z)
    return log_P, log_P


def log_softmax_backward(dlog_P: Array, cache: Array) -> Array:
    """Carry the gradient of the loss back through log-softmax.

    dz_j = d ln p_j − p_j Σ_l d ln p_l, row by row

    Parameters
    ----------
    dlog_P : ndarray of shape (..., k)
        Upstream gradient: the derivative of the loss with respect to ln P.
    cache : ndarray of shape (..., k)
        What ``log_softmax_forward`` kept: ln P.

    Returns
    -------
    ndarray of shape (..., k)
        Derivative of the loss with respect to Z; each row sums to 0.

    Raises
    ------
    ValueError
        If the shape of dlog_P is not that of ln P; the message gives both.
    TypeError
        If dlog_P does not hold floats of the dtype of ln P; the message gives what it holds.

    Examples
    --------
    >>> log_softmax_backward(np.array([[1.0, 0.0]]), cache=np.log(np.array([[0.25, 0.75]])))
    array([[ 0.75, -0.75]])
    """
    log_P = cache
    check_arrays(log_P=(log_P, "..., k"), dlog_P=(dlog_P, "..., k"))
    total: Array = dlog_P.sum(axis=-1, keepdims=True)  # (..., 1)
    return dlog_P - np.exp(log_P) * total


def _check_classes(Z: Array) -> None:
    check_arrays(Z=(Z, "..., k"))
    if not Z.shape[-1]:
        raise ValueError(f"expected logits of at least one class, got Z of shape {Z.shape}")
