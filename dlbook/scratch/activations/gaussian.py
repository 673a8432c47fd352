"""GELU, the activation made of the normal distribution, in its exact form and by tanh."""

from __future__ import annotations

import math

import numpy as np

from dlbook.scratch.activations.bounded import sigmoid
from dlbook.scratch.checks import Array, check_arrays

__all__ = [
    "gelu",
    "gelu_backward",
    "gelu_forward",
    "gelu_tanh",
    "gelu_tanh_backward",
    "gelu_tanh_forward",
]

Gated = tuple[Array, Array]

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def gelu(Z: Array) -> Array:
    """Weight every number by the probability that a normal one lies below it.

    gelu(z) = z Φ(z), where Φ(z) = ½ erfc(−z / √2) is the normal distribution function

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    ndarray of shape (...)
        z Φ(z) of every entry.

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Notes
    -----
    ``torch.nn.functional.gelu`` with its default. NumPy has no erf; ``math.erfc`` of the standard
    library is called entry by entry. It keeps its digits far below 0, where 1 + erf would round to
    nothing. ``gelu_tanh`` is made of whole-array operations, and differs by less than 5·10⁻⁴.

    References
    ----------
    D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, section 2.

    Examples
    --------
    >>> gelu(np.array([-10_000.0, 0.0, 1.0, 10_000.0]))
    array([-0.00000000e+00,  0.00000000e+00,  8.41344746e-01,  1.00000000e+04])
    """
    return gelu_forward(Z)[0]


def gelu_forward(Z: Array) -> tuple[Array, Gated]:
    """Compute GELU of every entry, and keep Z and Φ(Z) for the backward pass.

    A = Z ∘ Φ(Z)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    A : ndarray of shape (...)
        Activations.
    cache : tuple
        Z itself, not a copy, and Φ(Z).

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Examples
    --------
    >>> A, cache = gelu_forward(np.array([[0.0, 1.0]]))
    >>> A
    array([[0.        , 0.84134475]])
    """
    check_arrays(Z=(Z, "..."))
    Phi = _erfc(-Z / math.sqrt(2)).astype(Z.dtype) / 2  # (...)
    A: Array = Z * Phi
    return A, (Z, Phi)


def gelu_backward(dA: Array, cache: Gated) -> Array:
    """Carry the gradient of the loss back through GELU.

    dZ = dA ∘ (Φ(Z) + Z ∘ φ(Z)), where φ(z) = Φ′(z) = e^(−z²/2) / √(2π)

    Parameters
    ----------
    dA : ndarray of shape (...)
        Upstream gradient: the derivative of the loss with respect to A.
    cache : tuple
        What ``gelu_forward`` kept: Z and Φ(Z), both of shape (...).

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
    >>> gelu_backward(np.array([[8.0]]), cache=gelu_forward(np.array([[0.0]]))[1])
    array([[4.]])
    """
    Z, Phi = cache
    check_arrays(Z=(Z, "..."), dA=(dA, "..."))
    phi = np.exp(-(Z**2) / 2) / math.sqrt(2 * math.pi)  # (...)
    dZ: Array = dA * (Phi + Z * phi)
    return dZ


def gelu_tanh(Z: Array) -> Array:
    """Compute GELU by the formula with tanh that its authors gave as an approximation.

    gelu_tanh(z) = z/2 (1 + tanh u) = z σ(2u), where u = √(2/π) z (1 + 0.044715 z²)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    ndarray of shape (...)
        z σ(2u) of every entry.

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Notes
    -----
    ``torch.nn.functional.gelu`` with ``approximate="tanh"``. GPT-2 uses it. Of the two equal forms
    the second does not round to nothing far below 0.

    References
    ----------
    D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, section 2.

    Examples
    --------
    >>> gelu_tanh(np.array([-10_000.0, 0.0, 1.0, 10_000.0]))
    array([-0.00000000e+00,  0.00000000e+00,  8.41191991e-01,  1.00000000e+04])
    """
    return gelu_tanh_forward(Z)[0]


def gelu_tanh_forward(Z: Array) -> tuple[Array, Gated]:
    """Compute GELU by tanh, and keep Z and σ(2u) for the backward pass.

    A = Z ∘ S, where S = σ(2u) and u = √(2/π) z (1 + 0.044715 z²)

    Parameters
    ----------
    Z : ndarray of shape (...)
        Pre-activations, of any shape.

    Returns
    -------
    A : ndarray of shape (...)
        Activations.
    cache : tuple
        Z itself, not a copy, and σ(2u).

    Raises
    ------
    TypeError
        If Z does not hold floats; the message gives what it holds.

    Examples
    --------
    >>> A, cache = gelu_tanh_forward(np.array([[0.0, 1.0]]))
    >>> A
    array([[0.        , 0.84119199]])
    """
    check_arrays(Z=(Z, "..."))
    U = math.sqrt(2 / math.pi) * Z * (1 + 0.044715 * Z**2)  # (...)
    S = sigmoid(2 * U)  # (...)
    return Z * S, (Z, S)


def gelu_tanh_backward(dA: Array, cache: Gated) -> Array:
    """Carry the gradient of the loss back through GELU by tanh.

    dZ = dA ∘ S ∘ (1 + 2 Z ∘ (1 − S) ∘ U′), where S = σ(2u) with the u of ``gelu_tanh``, and
    u′ = √(2/π) (1 + 0.134145 z²)

    Parameters
    ----------
    dA : ndarray of shape (...)
        Upstream gradient: the derivative of the loss with respect to A.
    cache : tuple
        What ``gelu_tanh_forward`` kept: Z and σ(2u), both of shape (...).

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
    >>> gelu_tanh_backward(np.array([[8.0]]), cache=gelu_tanh_forward(np.array([[0.0]]))[1])
    array([[4.]])
    """
    Z, S = cache
    check_arrays(Z=(Z, "..."), dA=(dA, "..."))
    slope = math.sqrt(2 / math.pi) * (1 + 0.134145 * Z**2)  # (...), U′
    dZ: Array = dA * S * (1 + 2 * Z * (1 - S) * slope)
    return dZ
