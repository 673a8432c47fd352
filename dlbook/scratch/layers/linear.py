"""The linear map as a layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from dlbook.scratch.checks import Array
from dlbook.scratch.initialization import he_normal
from dlbook.scratch.layers.base import Layer
from dlbook.scratch.linear import linear_forward, linear_input_gradient, linear_parameter_gradients
from dlbook.scratch.state import State

__all__ = ["Linear"]


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
    def tensors(self) -> State:
        """W and b as ``torch.nn.Linear`` has them: ``weight`` is transposed."""
        return {"weight": self.W.T, "bias": self.b}

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
        self.backward_parameters(dZ)
        return linear_input_gradient(dZ, self.cache)

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
