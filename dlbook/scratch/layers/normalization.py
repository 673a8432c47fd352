"""Normalization as layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from dlbook.scratch.checks import Array, check_arrays, check_number, check_whole
from dlbook.scratch.layers.base import Operation
from dlbook.scratch.normalization import (
    Cache,
    batch_norm_backward,
    batch_norm_forward,
    fixed_norm_backward,
    fixed_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
    running_statistics,
)
from dlbook.scratch.state import State

__all__ = ["BatchNorm1d", "BatchNorm2d", "LayerNorm"]


class _Norm(Operation):
    """What all normalizing layers have: a scale and a shift for each feature."""

    def __init__(self, d: int, *, eps: float = 1e-5, dtype: DTypeLike = np.float32) -> None:
        check_whole("d", d)
        check_number("eps", eps, np.finfo(np.float64).tiny)
        self.gamma: Array = np.ones(d, dtype=dtype)
        self.beta: Array = np.zeros(d, dtype=dtype)
        self.eps = eps

    @property
    def parameters(self) -> list[Array]:
        """The scales γ and the shifts β."""
        return [self.gamma, self.beta]

    @property
    def tensors(self) -> State:
        """The scales and shifts by PyTorch's names."""
        return {"weight": self.gamma, "bias": self.beta}


class _BatchNorm(_Norm):
    """Normalization over the batch in training, and by what has been kept afterwards."""

    layout: str

    def __init__(
        self,
        d: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(d, eps=eps, dtype=dtype)
        check_number("momentum", momentum, 0, 1)
        self.momentum = momentum
        self.running_mean: Array = np.zeros(d, dtype=dtype)
        self.running_var: Array = np.ones(d, dtype=dtype)
        self.num_batches_tracked = np.zeros((), dtype=np.int64)

    @property
    def buffers(self) -> list[Any]:
        """What training has shown: mean, variance and the number of batches."""
        return [self.running_mean, self.running_var, self.num_batches_tracked]

    @property
    def tensors(self) -> State:
        """All arrays by PyTorch's names."""
        return {
            **super().tensors,
            "running_mean": self.running_mean,
            "running_var": self.running_var,
            "num_batches_tracked": self.num_batches_tracked,
        }

    def _forward(self, X: Array, *, training: bool) -> tuple[Array, tuple[bool, Cache]]:
        check_arrays(gamma=(self.gamma, "d"), X=(X, self.layout))
        known = self.running_mean, self.running_var
        if not training:
            Z, cache = fixed_norm_forward(X, self.gamma, self.beta, *known, eps=self.eps)
            return Z, (training, cache)
        Z, cache = batch_norm_forward(X, self.gamma, self.beta, eps=self.eps)
        mean, variance = running_statistics(X, *known, momentum=self.momentum)
        self.running_mean[...] = mean
        self.running_var[...] = variance
        self.num_batches_tracked += 1
        return Z, (training, cache)

    def _backward(self, dZ: Array, cache: tuple[bool, Cache]) -> tuple[Array, ...]:
        training, kept = cache
        return batch_norm_backward(dZ, kept) if training else fixed_norm_backward(dZ, kept)


class BatchNorm1d(_BatchNorm):
    """Batch norm for rows as a layer.

    Z_ij = γ_j (X_ij − μ_j) / √(σ²_j + ε) + β_j, in training with mean and variance of the batch,
    otherwise with the running ones

    Parameters
    ----------
    d : int
        Features of an example.
    eps : float, default 1e-5
        Keeps the quotient finite where a feature is constant; above 0.
    momentum : float, default 0.1
        The share of a batch in the running statistics, from 0 up and below 1.
    dtype : dtype, default float32
        The dtype of the parameters; inputs must have the same.

    Attributes
    ----------
    gamma : ndarray of shape (d,)
        Scales γ, 1 at the start.
    beta : ndarray of shape (d,)
        Shifts β, 0 at the start.
    running_mean : ndarray of shape (d,)
        What training has shown of the mean, 0 at the start.
    running_var : ndarray of shape (d,)
        What training has shown of the unbiased variance, 1 at the start.

    Raises
    ------
    ValueError
        If a number is out of range; the message gives it. In training also if a batch has only one
        row.
    TypeError
        If a number is not a number.

    Examples
    --------
    >>> layer = BatchNorm1d(1, dtype=np.float64)
    >>> layer.forward(np.array([[1.0], [3.0]]), training=True).round(3)
    array([[-1.],
           [ 1.]])
    >>> layer.running_mean
    array([0.2])
    """

    layout = "n, d"


class BatchNorm2d(_BatchNorm):
    """Batch norm for images as a layer: every pixel of a channel counts as an example.

    Z_ijyx = γ_j (X_ijyx − μ_j) / √(σ²_j + ε) + β_j, in training with mean and variance of the
    batch, otherwise with the running ones

    Parameters
    ----------
    d : int
        Channels of an image.
    eps : float, default 1e-5
        Keeps the quotient finite where a channel is constant; above 0.
    momentum : float, default 0.1
        The share of a batch in the running statistics, from 0 up and below 1.
    dtype : dtype, default float32
        The dtype of the parameters; inputs must have the same.

    Attributes
    ----------
    gamma : ndarray of shape (d,)
        Scales γ, 1 at the start.
    beta : ndarray of shape (d,)
        Shifts β, 0 at the start.
    running_mean : ndarray of shape (d,)
        What training has shown of the mean, 0 at the start.
    running_var : ndarray of shape (d,)
        What training has shown of the unbiased variance, 1 at the start.

    Raises
    ------
    ValueError
        If a number is out of range; the message gives it.
    TypeError
        If a number is not a number.

    Examples
    --------
    >>> layer = BatchNorm2d(8)
    >>> layer.forward(np.zeros((5, 8, 7, 7), dtype=np.float32), training=True).shape
    (5, 8, 7, 7)
    """

    layout = "n, d, h, w"


class LayerNorm(_Norm):
    """Layer norm as a layer: every row is normalized over its features.

    Z_ij = γ_j (X_ij − μ_i) / √(σ²_i + ε) + β_j

    Parameters
    ----------
    d : int
        Features of a row.
    eps : float, default 1e-5
        Keeps the quotient finite where a row is constant; above 0.
    dtype : dtype, default float32
        The dtype of the parameters; inputs must have the same.

    Attributes
    ----------
    gamma : ndarray of shape (d,)
        Scales γ, 1 at the start.
    beta : ndarray of shape (d,)
        Shifts β, 0 at the start.

    Raises
    ------
    ValueError
        If a number is out of range; the message gives it.
    TypeError
        If a number is not a number.

    Examples
    --------
    >>> LayerNorm(2, dtype=np.float64).forward(np.array([[1.0, 3.0], [500.0, 700.0]])).round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    def _forward(self, X: Array, *, training: bool) -> tuple[Array, Cache]:  # noqa: ARG002  # as every layer
        return layer_norm_forward(X, self.gamma, self.beta, eps=self.eps)

    def _backward(self, dZ: Array, cache: Cache) -> tuple[Array, ...]:
        return layer_norm_backward(dZ, cache)
