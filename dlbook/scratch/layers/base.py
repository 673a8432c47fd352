"""What all layers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlbook.scratch.checks import Array
from dlbook.scratch.state import State, check_state

__all__ = ["Layer", "Operation"]


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
    def buffers(self) -> list[Array]:
        """The arrays that are kept with the parameters, but are not trained; none for most."""
        return []

    @property
    def tensors(self) -> State:
        """The arrays themselves, by PyTorch's names and in its layout, as ``state_dict`` copies."""
        return {}

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

    def state_dict(self) -> State:
        """Return what has been learned, as the same layers of ``torch.nn`` would.

        Returns
        -------
        dict of str to ndarray
            Copies of parameters and buffers, by PyTorch's names and in its layout: ``weight`` of a
            linear layer is ``W.T``. In a ``Sequential`` the place of the layer goes before, as in
            ``"0.weight"``.
        """
        return {name: array.copy() for name, array in self.tensors.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what has been learned by the same layers, here or in PyTorch.

        Parameters
        ----------
        state : mapping of str to array
            What ``state_dict`` returned, here or in PyTorch on the CPU.

        Raises
        ------
        ValueError
            If arrays are missing, are too many, or have another shape or dtype; the message names
            all of them. Nothing has been changed then.
        TypeError
            If ``state`` is not a mapping.
        """
        tensors = self.tensors
        arrays = check_state(state, tensors)
        for name, own in tensors.items():
            own[...] = arrays[name]


class Operation(Layer):
    """A layer that calls a pair of functions; each kind says which, and what it gives them."""

    _gradients: Sequence[Array] = ()

    @property
    def gradients(self) -> list[Array]:
        """The gradients that the last backward pass left; empty before the first."""
        return list(self._gradients)

    def forward(self, X: Array, *, training: bool = False) -> Array:
        """Compute the outputs, as the forward function does.

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

        Raises
        ------
        ValueError, TypeError
            As the forward function.
        """
        Z, self.cache = self._forward(X, training=training)
        return Z

    def backward(self, dZ: Array) -> Array:
        """Compute all gradients, as the backward function does; keep the parameters', pass dX on.

        Parameters
        ----------
        dZ : ndarray of shape (n, ...)
            Derivative of the loss with respect to the outputs.

        Returns
        -------
        ndarray of shape (n, ...)
            Derivative of the loss with respect to the inputs.

        Raises
        ------
        ValueError, TypeError
            As the backward function, and ValueError if there was no forward pass.
        """
        found = self._backward(dZ, self.cache)
        dX, *self._gradients = found if isinstance(found, tuple) else (found,)
        return dX

    def _forward(self, X: Array, *, training: bool) -> tuple[Array, Any]:
        """Call the forward function."""
        raise NotImplementedError

    def _backward(self, dZ: Array, cache: Any) -> Array | tuple[Array, ...]:
        """Call the backward function."""
        raise NotImplementedError
