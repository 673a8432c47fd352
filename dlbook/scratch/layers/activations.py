"""Activation functions as layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from dlbook.scratch.activations import (
    elu_backward,
    elu_forward,
    gelu_backward,
    gelu_forward,
    gelu_tanh_backward,
    gelu_tanh_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    log_softmax_backward,
    log_softmax_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    silu_backward,
    silu_forward,
    softmax_backward,
    softmax_forward,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from dlbook.scratch.checks import Array
from dlbook.scratch.layers.base import Layer

__all__ = [
    "ELU",
    "GELU",
    "Activation",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]


class Activation(Layer):
    """An activation function as a layer; each kind names its pair of functions.

    Attributes
    ----------
    pair : tuple of callable
        Its forward and its backward function.
    """

    pair: tuple[Callable[[Array], tuple[Array, Any]], Callable[[Array, Any], Array]]

    def forward(self, X: Array, *, training: bool = False) -> Array:  # noqa: ARG002  # as every layer
        """Compute the activations.

        Parameters
        ----------
        X : ndarray of shape (...)
            Pre-activations.
        training : bool, default False
            Makes no difference here.

        Returns
        -------
        ndarray of shape (...)
            Activations.

        Raises
        ------
        ValueError, TypeError
            As the forward function of the pair.
        """
        A, self.cache = self.pair[0](X)
        return A

    def backward(self, dZ: Array) -> Array:
        """Carry the gradient back through the activation.

        Parameters
        ----------
        dZ : ndarray of shape (...)
            Derivative of the loss with respect to the activations.

        Returns
        -------
        ndarray of shape (...)
            Derivative of the loss with respect to the pre-activations.

        Raises
        ------
        ValueError, TypeError
            As the backward function of the pair, and ValueError if there was no forward pass.
        """
        return self.pair[1](dZ, self.cache)


class Sigmoid(Activation):
    """The sigmoid as a layer.

    A = σ(Z)

    Examples
    --------
    >>> import numpy as np
    >>> Sigmoid().forward(np.array([[0.0, np.log(3.0)]]))
    array([[0.5 , 0.75]])
    """

    pair = (sigmoid_forward, sigmoid_backward)


class ReLU(Activation):
    """ReLU as a layer.

    A = max(Z, 0)

    Examples
    --------
    >>> import numpy as np
    >>> ReLU().forward(np.array([[-2.0, 3.0]]))
    array([[0., 3.]])
    """

    pair = (relu_forward, relu_backward)


class Tanh(Activation):
    """The hyperbolic tangent as a layer.

    A = tanh(Z)

    Examples
    --------
    >>> import numpy as np
    >>> Tanh().forward(np.array([[0.0, np.log(3.0)]]))
    array([[0. , 0.8]])
    """

    pair = (tanh_forward, tanh_backward)


class SiLU(Activation):
    """SiLU, also called swish, as a layer.

    A = Z ∘ σ(Z)

    Examples
    --------
    >>> import numpy as np
    >>> SiLU().forward(np.array([[0.0, np.log(3.0)]]))
    array([[0.        , 0.82395922]])
    """

    pair = (silu_forward, silu_backward)


class Softplus(Activation):
    """Softplus, a smooth ReLU, as a layer.

    A = ln(1 + e^Z)

    Examples
    --------
    >>> import numpy as np
    >>> Softplus().forward(np.array([[0.0, np.log(3.0)]]))
    array([[0.69314718, 1.38629436]])
    """

    pair = (softplus_forward, softplus_backward)


class Softmax(Activation):
    """Softmax over the last axis as a layer.

    p_j = e^(z_j) / Σ_l e^(z_l), row by row

    Notes
    -----
    ``cross_entropy`` takes logits: a network that it trains ends without this layer.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax().forward(np.array([[0.0, np.log(3.0)]]))
    array([[0.25, 0.75]])
    """

    pair = (softmax_forward, softmax_backward)


class LogSoftmax(Activation):
    """The logarithm of softmax over the last axis as a layer.

    ln p_j = z_j − ln Σ_l e^(z_l), row by row

    Examples
    --------
    >>> import numpy as np
    >>> np.exp(LogSoftmax().forward(np.array([[0.0, np.log(3.0)]])))
    array([[0.25, 0.75]])
    """

    pair = (log_softmax_forward, log_softmax_backward)


class GELU(Activation):
    """GELU as a layer.

    A = Z ∘ Φ(Z), with the normal distribution function Φ

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Whether Φ is exact, or a tanh that comes close, as in ``torch.nn.GELU``.

    Raises
    ------
    ValueError
        If ``approximate`` is something else; the message gives it.

    Examples
    --------
    >>> import numpy as np
    >>> GELU().forward(np.array([[-1.0, 0.0, 1.0]]))
    array([[-0.15865525,  0.        ,  0.84134475]])
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"expected approximate of 'none' or 'tanh', got {approximate!r}")
        exact = approximate == "none"
        self.pair = (
            (gelu_forward, gelu_backward) if exact else (gelu_tanh_forward, gelu_tanh_backward)
        )


class LeakyReLU(Activation):
    """Leaky ReLU as a layer.

    A = Z where Z > 0, and negative_slope · Z elsewhere

    Parameters
    ----------
    negative_slope : float, default 0.01
        The slope below 0.

    Examples
    --------
    >>> import numpy as np
    >>> LeakyReLU(negative_slope=0.1).forward(np.array([[-2.0, 3.0]]))
    array([[-0.2,  3. ]])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        forward = partial(leaky_relu_forward, negative_slope=negative_slope)
        self.pair = (forward, leaky_relu_backward)


class ELU(Activation):
    """ELU as a layer.

    A = Z where Z > 0, and α (e^Z − 1) elsewhere

    Parameters
    ----------
    alpha : float, default 1.0
        How far below 0 it goes, α.

    Examples
    --------
    >>> import numpy as np
    >>> ELU().forward(np.array([[-np.log(2.0), 3.0]]))
    array([[-0.5,  3. ]])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        forward = partial(elu_forward, alpha=alpha)
        self.pair = (forward, elu_backward)
