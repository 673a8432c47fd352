"""Layers: objects that hold parameters and call the pairs of functions. No mathematics is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from dlbook.scratch.activations import (
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
)
from dlbook.scratch.checks import Array
from dlbook.scratch.initialization import he_normal, xavier_normal
from dlbook.scratch.linear import linear_backward, linear_forward, linear_parameter_gradients

__all__ = ["Activation", "Layer", "Linear", "ReLU", "Sequential", "Sigmoid", "mlp"]


class Layer:
    """What every layer has: a forward and a backward pass, parameters and their gradients.

    Notes
    -----
    A layer remembers its last forward pass alone. Hence one object cannot stand in two places of
    a network.
    """

    _cache: Any = None

    @property
    def parameters(self) -> list[Array]:
        """The arrays that training changes; none, unless a layer says otherwise."""
        return []

    @property
    def gradients(self) -> list[Array]:
        """The derivatives of the loss that the last backward pass left, one for each parameter."""
        return []

    @property
    def cache(self) -> Any:
        """What the last forward pass kept."""
        if self._cache is None:
            raise ValueError("there is nothing to go back through: call forward first")
        return self._cache

    @cache.setter
    def cache(self, kept: Any) -> None:
        self._cache = kept

    def forward(self, X: Array, *, training: bool = False) -> Array:
        """Compute the outputs of a batch, and keep what the backward pass needs.

        Parameters
        ----------
        X : ndarray of shape (n, ...)
            Inputs, one example a row.
        training : bool, default False
            Whether this is a step of training, for layers that then behave differently.

        Returns
        -------
        ndarray of shape (n, ...)
            Outputs, one example a row.
        """
        raise NotImplementedError

    def backward(self, dZ: Array) -> Array:
        """Carry the gradient of the loss back through the last forward pass.

        Parameters
        ----------
        dZ : ndarray of shape (n, ...)
            Derivative of the loss with respect to the outputs.

        Returns
        -------
        ndarray of shape (n, ...)
            Derivative of the loss with respect to the inputs.
        """
        raise NotImplementedError

    def backward_parameters(self, dZ: Array) -> None:
        """Go back as ``backward`` does, for the parameters' gradients alone.

        The first layer of a network needs no more: nothing learns from the gradient of the data.

        Parameters
        ----------
        dZ : ndarray of shape (n, ...)
            Derivative of the loss with respect to the outputs.
        """
        self.backward(dZ)


class Linear(Layer):
    """The linear map as a layer: a weighted sum and a bias for each output.

    Z = X W + b

    Parameters
    ----------
    d_in : int
        Inputs of an example.
    d_out : int
        Outputs of an example.
    rng : Generator
        Draws the weights.
    initialization : callable, default he_normal
        Takes d_in, d_out, rng and dtype, returns the weights.
    dtype : dtype, default float32
        The dtype of the parameters; inputs must have the same.

    Attributes
    ----------
    W : ndarray of shape (d_in, d_out)
        Weights.
    b : ndarray of shape (d_out,)
        Biases, 0 at the start.

    Examples
    --------
    >>> layer = Linear(3, 2, rng=np.random.default_rng(0))
    >>> layer.forward(np.zeros((5, 3), dtype=np.float32)).shape
    (5, 2)
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        *,
        rng: np.random.Generator,
        initialization: Callable[..., Array] = he_normal,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.W = initialization(d_in, d_out, rng=rng, dtype=dtype)  # (d_in, d_out)
        self.b: Array = np.zeros(d_out, dtype=dtype)  # (d_out,)
        self._gradients: list[Array] = []

    @property
    def parameters(self) -> list[Array]:
        """W and b."""
        return [self.W, self.b]

    @property
    def gradients(self) -> list[Array]:
        """The gradients dW and db that the last backward pass left; empty before the first."""
        return self._gradients

    def forward(self, X: Array, *, training: bool = False) -> Array:  # noqa: ARG002  # as every layer
        """Compute the outputs, as ``linear_forward`` does.

        Parameters
        ----------
        X : ndarray of shape (n, d_in)
            Inputs, one example a row.
        training : bool, default False
            Makes no difference here.

        Returns
        -------
        ndarray of shape (n, d_out)
            Outputs.

        Raises
        ------
        ValueError, TypeError
            As ``linear_forward``.
        """
        Z, self.cache = linear_forward(X, self.W, self.b)
        return Z

    def backward(self, dZ: Array) -> Array:
        """Compute all gradients, as ``linear_backward`` does; keep dW and db, pass dX on.

        Parameters
        ----------
        dZ : ndarray of shape (n, d_out)
            Derivative of the loss with respect to the outputs.

        Returns
        -------
        ndarray of shape (n, d_in)
            Derivative of the loss with respect to the inputs.

        Raises
        ------
        ValueError, TypeError
            As ``linear_backward``, and ValueError if there was no forward pass.
        """
        dX, *self._gradients = linear_backward(dZ, self.cache)
        return dX

    def backward_parameters(self, dZ: Array) -> None:
        """Compute dW and db, as ``linear_parameter_gradients`` does, and keep them.

        Parameters
        ----------
        dZ : ndarray of shape (n, d_out)
            Derivative of the loss with respect to the outputs.

        Raises
        ------
        ValueError, TypeError
            As ``backward``.
        """
        self._gradients = [*linear_parameter_gradients(dZ, self.cache)]


class Activation(Layer):
    """An activation function as a layer; each kind names its pair of functions."""

    pair: ClassVar[tuple[Callable[[Array], tuple[Array, Any]], Callable[[Array, Any], Array]]]

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
    >>> Sigmoid().forward(np.array([[0.0, np.log(3.0)]]))
    array([[0.5 , 0.75]])
    """

    pair = (sigmoid_forward, sigmoid_backward)


class ReLU(Activation):
    """ReLU as a layer.

    A = max(Z, 0)

    Examples
    --------
    >>> ReLU().forward(np.array([[-2.0, 3.0]]))
    array([[0., 3.]])
    """

    pair = (relu_forward, relu_backward)


class Sequential(Layer):
    """Layers one after another; backwards, the last one first.

    Parameters
    ----------
    *layers : Layer
        Each takes what the one before it returns.

    Attributes
    ----------
    layers : tuple of Layer
        The layers in order.

    Raises
    ------
    TypeError
        If something is not a layer; the message gives what it is.
    ValueError
        If there is no layer, or one stands in two places: it would remember the second place only,
        and the gradient of the first would be wrong.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> model = Sequential(Linear(3, 4, rng=rng), ReLU(), Linear(4, 2, rng=rng))
    >>> [w.shape for w in model.parameters]
    [(3, 4), (4,), (4, 2), (2,)]
    """

    def __init__(self, *layers: Layer) -> None:
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(
                    f"expected layers, got {type(layer).__name__}: use Sequential(*layers)"
                )
        if not layers:
            raise ValueError("expected at least one layer, got none")
        self.layers = layers
        leaves = _leaves(self)
        if len(set(map(id, leaves))) < len(leaves):
            raise ValueError("expected each layer in one place only, got the same object twice")

    @property
    def parameters(self) -> list[Array]:
        """The parameters of all layers, in order."""
        return [w for layer in self.layers for w in layer.parameters]

    @property
    def gradients(self) -> list[Array]:
        """The gradients of all layers, in the order of the parameters."""
        return [g for layer in self.layers for g in layer.gradients]

    def forward(self, X: Array, *, training: bool = False) -> Array:
        """Pass a batch through all layers, first to last.

        Parameters
        ----------
        X : ndarray of shape (n, ...)
            Inputs of the first layer.
        training : bool, default False
            Handed to every layer.

        Returns
        -------
        ndarray of shape (n, ...)
            Outputs of the last layer.

        Raises
        ------
        ValueError, TypeError
            As the layers.
        """
        for layer in self.layers:
            X = layer.forward(X, training=training)
        return X

    def backward(self, dZ: Array) -> Array:
        """Carry the gradient through all layers, last to first.

        Parameters
        ----------
        dZ : ndarray of shape (n, ...)
            Derivative of the loss with respect to the outputs of the last layer.

        Returns
        -------
        ndarray of shape (n, ...)
            Derivative of the loss with respect to the inputs of the first layer.

        Raises
        ------
        ValueError, TypeError
            As the layers.
        """
        for layer in reversed(self.layers):
            dZ = layer.backward(dZ)
        return dZ

    def backward_parameters(self, dZ: Array) -> None:
        """Go back through all layers, the last one first; spare the gradient of the inputs.

        Parameters
        ----------
        dZ : ndarray of shape (n, ...)
            Derivative of the loss with respect to the outputs of the last layer.

        Raises
        ------
        ValueError, TypeError
            As the layers.
        """
        first, *others = self.layers
        for layer in reversed(others):
            dZ = layer.backward(dZ)
        first.backward_parameters(dZ)


def _leaves(layer: Layer) -> list[Layer]:
    if isinstance(layer, Sequential):
        return [leaf for inner in layer.layers for leaf in _leaves(inner)]
    return [layer]


ACTIVATIONS: dict[str, tuple[Callable[[], Layer], Callable[..., Array]]] = {
    "relu": (ReLU, he_normal),
    "sigmoid": (Sigmoid, xavier_normal),
}


def mlp(
    sizes: Sequence[int],
    *,
    rng: np.random.Generator,
    activation: str = "relu",
    dtype: DTypeLike = np.float32,
) -> Sequential:
    """Build a multilayer perceptron: linear layers with an activation between them.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the inputs to the outputs: [64, 128, 10] has one hidden layer of 128 units.
    rng : Generator
        Draws the weights.
    activation : {"relu", "sigmoid"}
        What stands between the layers; weights start as He et al. advise before ReLU, and as
        Glorot and Bengio do before the sigmoid.
    dtype : dtype, default float32
        The dtype of the parameters.

    Returns
    -------
    Sequential
        The network. Its outputs are logits or predictions: nothing follows the last linear layer.

    Raises
    ------
    ValueError
        If there are fewer than two sizes, one is below 1, or the activation is unknown; the
        message gives what came and what there is.
    TypeError
        If a size is not an integer, or ``rng`` not a Generator.

    Examples
    --------
    >>> model = mlp([64, 32, 10], rng=np.random.default_rng(0))
    >>> sum(w.size for w in model.parameters)
    2410
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"expected an activation of {', '.join(ACTIVATIONS)}, got {activation!r}")
    if len(sizes) < 2:
        raise ValueError(f"expected the sizes of inputs and outputs at least, got {list(sizes)}")
    make, initialization = ACTIVATIONS[activation]
    layers: list[Layer] = []
    for d_in, d_out in pairwise(sizes):
        layers += [Linear(d_in, d_out, rng=rng, initialization=initialization, dtype=dtype), make()]
    return Sequential(*layers[:-1])
