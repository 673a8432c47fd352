"""Layers put together: one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike

from dlbook.scratch.checks import Array
from dlbook.scratch.initialization import he_normal, xavier_normal
from dlbook.scratch.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh
from dlbook.scratch.layers.base import Layer
from dlbook.scratch.layers.linear import Linear
from dlbook.scratch.state import State

__all__ = ["ACTIVATIONS", "Sequential", "mlp"]


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

    @property
    def buffers(self) -> list[Array]:
        """The buffers of all layers, in order."""
        return [array for layer in self.layers for array in layer.buffers]

    @property
    def tensors(self) -> State:
        """The arrays of all layers, by place and name, as in ``"0.weight"``."""
        return {
            f"{i}.{name}": array
            for i, layer in enumerate(self.layers)
            for name, array in layer.tensors.items()
        }

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
    "leaky_relu": (LeakyReLU, he_normal),
    "elu": (ELU, he_normal),
    "gelu": (GELU, he_normal),
    "silu": (SiLU, he_normal),
    "sigmoid": (Sigmoid, xavier_normal),
    "tanh": (Tanh, xavier_normal),
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
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}
        What stands between the layers; weights start as Glorot and Bengio advise before the
        sigmoid and tanh, and as He et al. do before ReLU and its kin.
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
