"""Dropout as a layer."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, check_generator, check_number
from dlbook.scratch.dropout import dropout_backward, dropout_forward
from dlbook.scratch.layers.base import Operation

__all__ = ["Dropout"]


class Dropout(Operation):
    """Dropout as a layer: in training, numbers are left out at random.

    Z = M ∘ X, where M_ij = 0 with probability p and 1 / (1 − p) otherwise; Z = X out of training

    Parameters
    ----------
    p : float, default 0.5
        The probability of being left out, from 0 up and below 1.
    rng : Generator
        Draws what is left out, anew for every batch.

    Raises
    ------
    ValueError
        If ``p`` is out of range; the message gives it.
    TypeError
        If ``p`` is not a number, or ``rng`` not a Generator.

    Examples
    --------
    >>> layer = Dropout(0.5, rng=np.random.default_rng(0))
    >>> layer.forward(np.full(6, 5.0), training=True)
    array([10.,  0.,  0.,  0., 10., 10.])
    >>> layer.forward(np.full(6, 5.0))
    array([5., 5., 5., 5., 5., 5.])
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator) -> None:
        check_number("p", p, 0, 1)
        check_generator(rng)
        self.p = p
        self.rng = rng

    def _forward(self, X: Array, *, training: bool) -> tuple[Array, Array]:
        return dropout_forward(X, p=self.p, rng=self.rng, training=training)

    def _backward(self, dZ: Array, cache: Array) -> Array:
        return dropout_backward(dZ, cache)
