"""Functions of tensors: activations, softmax, cross-entropy, and any pair written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dlbook.scratch import activations
from dlbook.scratch.autograd.tensor import Tensor, check_tensors, record
from dlbook.scratch.checks import Array, Labels, check_arrays, check_labels

__all__ = [
    "cross_entropy",
    "elu",
    "exp",
    "gelu",
    "leaky_relu",
    "log",
    "log_softmax",
    "operation",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


def exp(x: Tensor) -> Tensor:
    """Raise e to the power of every number.

    d eˣ/dx = eˣ

    Examples
    --------
    >>> exp(Tensor(np.array([0.0])))
    Tensor([1.])
    """
    check_tensors([x])
    y = np.exp(x.value)
    return record("exp", y, (x,), lambda G: (G * y,))


def log(x: Tensor) -> Tensor:
    """Take the natural logarithm of every number.

    d ln x/dx = 1/x

    Examples
    --------
    >>> log(Tensor(np.array([1.0])))
    Tensor([0.])
    """
    check_tensors([x])
    z = x.value
    return record("log", np.log(z), (x,), lambda G: (G / z,))


def tanh(x: Tensor) -> Tensor:
    """Squash every number into the range from −1 to 1.

    d tanh x/dx = 1 − tanh² x

    Examples
    --------
    >>> tanh(Tensor(np.array([0.0])))
    Tensor([0.])
    """
    check_tensors([x])
    y = np.tanh(x.value)
    return record("tanh", y, (x,), lambda G: (G * (1 - y**2),))


def relu(x: Tensor) -> Tensor:
    """Cut every number below 0 off at 0: the slope is 1 above 0 and 0 elsewhere.

    Examples
    --------
    >>> relu(Tensor(np.array([-2.0, 3.0])))
    Tensor([0. 3.])
    """
    check_tensors([x])
    z = x.value
    return record("relu", np.maximum(z, 0), (x,), lambda G: (G * (z > 0),))


def operation(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Tensor]:
    """Make a function of tensors out of a pair of functions that was written by hand.

    Parameters
    ----------
    forward : callable
        Takes arrays, returns (output, cache), as all pairs of ``dlbook.scratch`` do.
    backward : callable
        Takes (G, cache), or the cache alone if ``forward`` is a loss; returns the gradients of the
        first arguments, in their order.

    Returns
    -------
    callable
        Takes the arguments of ``forward``, tensors or not, and returns its output as a tensor.

    Examples
    --------
    >>> from dlbook.scratch.losses import mse
    >>> Z, Y = Tensor(np.array([1.0, 5.0])), np.array([1.0, 2.0])
    >>> operation(*mse)(Z, Y).backward([Z])
    [array([0., 3.])]
    """

    def apply(*arguments: Any, **options: Any) -> Tensor:
        plain = [x.value if isinstance(x, Tensor) else x for x in arguments]
        output, cache = forward(*plain, **options)
        places = [i for i, x in enumerate(arguments) if isinstance(x, Tensor)]
        if not places:
            raise TypeError("expected a Tensor among the arguments, got none: use Tensor(array)")
        sources = tuple(arguments[i] for i in places)

        def rule(G: Array) -> tuple[Array, ...]:
            found = G * backward(cache) if type(output) is float else backward(G, cache)
            found = found if isinstance(found, tuple) else (found,)
            return tuple(found[i] for i in places)

        value = np.asarray(output, dtype=sources[0].value.dtype)
        return record(forward.__name__.removesuffix("_forward"), value, sources, rule)

    return apply


elu = operation(activations.elu_forward, activations.elu_backward)
gelu = operation(activations.gelu_forward, activations.gelu_backward)
leaky_relu = operation(activations.leaky_relu_forward, activations.leaky_relu_backward)
sigmoid = operation(activations.sigmoid_forward, activations.sigmoid_backward)
silu = operation(activations.silu_forward, activations.silu_backward)
softplus = operation(activations.softplus_forward, activations.softplus_backward)


def log_softmax(Z: Tensor) -> Tensor:
    """Turn every row of k logits into the logarithms of k probabilities.

    ln p_j = z_j − m − ln Σ_l e^(z_l − m), with m the largest logit of the row

    Parameters
    ----------
    Z : Tensor of shape (..., k)
        Logits; each row along the last axis is one example.

    Returns
    -------
    Tensor of shape (..., k)
        Logarithms of probabilities, in nats.

    Raises
    ------
    TypeError
        If Z is not a tensor; the message gives what it is.

    Notes
    -----
    m is a constant: it cancels, and therefore no gradient is lost by it.

    Examples
    --------
    >>> log_softmax(Tensor(np.array([[1000.0, 0.0]])))
    Tensor([[    0. -1000.]])
    """
    check_tensors([Z])
    shifted: Tensor = Z - Z.value.max(axis=-1, keepdims=True)  # (..., k), at most 0
    return shifted - log(exp(shifted).sum(axis=-1, keepdims=True))


def softmax(Z: Tensor) -> Tensor:
    """Turn every row of k logits into k probabilities.

    p_j = e^(z_j − m) / Σ_l e^(z_l − m), with m the largest logit of the row

    Parameters
    ----------
    Z : Tensor of shape (..., k)
        Logits; each row along the last axis is one example.

    Returns
    -------
    Tensor of shape (..., k)
        Probabilities; each row sums to 1.

    Raises
    ------
    TypeError
        If Z is not a tensor; the message gives what it is.

    Examples
    --------
    >>> softmax(Tensor(np.array([[1000.0, 1000.0, 0.0]])))
    Tensor([[0.5 0.5 0. ]])
    """
    check_tensors([Z])
    E = exp(Z - Z.value.max(axis=-1, keepdims=True))  # (..., k)
    return E / E.sum(axis=-1, keepdims=True)


def cross_entropy(Z: Tensor, y: Labels) -> Tensor:
    """Compute the mean cross-entropy of the probabilities softmax(z).

    loss = −1/n Σ_i ln p_i,y_i

    Parameters
    ----------
    Z : Tensor of shape (n, k)
        Logits.
    y : ndarray of shape (n,)
        Class ids from 0 to k - 1.

    Returns
    -------
    Tensor of shape ()
        In nats.

    Raises
    ------
    ValueError
        If a shape does not fit, there is no row, or a class id is not from 0 to k - 1; the message
        gives what came.
    TypeError
        If Z is not a tensor, or y does not hold integers; the message gives what came.

    Notes
    -----
    The gradient (P − Y) / n, derived by hand for ``losses.cross_entropy_backward``, is not written
    here: it comes out.

    Examples
    --------
    >>> Z = Tensor(np.zeros((1, 4)))
    >>> cross_entropy(Z, np.array([2])).backward([Z])
    [array([[ 0.25,  0.25, -0.75,  0.25]])]
    """
    check_tensors([Z])
    check_arrays(Z=(Z.value, "n, k"))
    check_labels(y, Z.value)
    return -log_softmax(Z)[np.arange(len(y)), y].mean()
