"""What works on images, as layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from dlbook.scratch.checks import Array, check_whole
from dlbook.scratch.convolution import Cache, conv2d_backward, conv2d_forward
from dlbook.scratch.initialization import he_normal
from dlbook.scratch.layers.base import Operation
from dlbook.scratch.pooling import (
    AverageCache,
    MaxCache,
    average_pool2d_backward,
    average_pool2d_forward,
    flatten_backward,
    flatten_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from dlbook.scratch.state import State

__all__ = ["AvgPool2d", "Conv2d", "Flatten", "MaxPool2d"]


class Conv2d(Operation):
    """Convolution as a layer: every filter held against every patch of every image.

    Z_ioyx = Σ_ckl W_ockl P_icklyx + b_o, where P are the patches of X

    Parameters
    ----------
    c_in : int
        Channels of the images.
    c_out : int
        Filters, which become the channels of the outputs.
    size : int
        Height and width of a filter, in pixels.
    stride : int, default 1
        Pixels from one place of the filters to the next.
    padding : int, default 0
        Rows and columns of zeros put around each image.
    rng : Generator
        Draws the filters.
    initialization : callable, default he_normal
        Takes d_in, d_out, rng and dtype, returns weights of shape (d_in, d_out); d_in is the
        number of pixels in a patch over all channels, and d_out the number of filters.
    dtype : dtype, default float32
        The dtype of the parameters; inputs must have the same.

    Attributes
    ----------
    W : ndarray of shape (c_out, c_in, size, size)
        Filters.
    b : ndarray of shape (c_out,)
        Biases, 0 at the start.

    Raises
    ------
    ValueError
        If a number is out of range; the message gives it.
    TypeError
        If a number is not whole, or ``rng`` not a Generator.

    Notes
    -----
    He's and LeCun's rules look at d_in alone and start as PyTorch's do. Xavier's also counts the
    outputs that an input has a share in, of which ``torch.nn.init`` takes c_out · size², and this
    layer c_out.

    Examples
    --------
    >>> layer = Conv2d(1, 8, 3, padding=1, rng=np.random.default_rng(0))
    >>> layer.forward(np.zeros((5, 1, 28, 28), dtype=np.float32)).shape
    (5, 8, 28, 28)
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        rng: np.random.Generator,
        initialization: Callable[..., Array] = he_normal,
        dtype: DTypeLike = np.float32,
    ) -> None:
        for name, value in (("c_in", c_in), ("c_out", c_out), ("size", size), ("stride", stride)):
            check_whole(name, value)
        check_whole("padding", padding, least=0)
        columns = initialization(c_in * size * size, c_out, rng=rng, dtype=dtype)
        self.W = columns.T.reshape(c_out, c_in, size, size)  # (c_out, c_in, size, size)
        self.b: Array = np.zeros(c_out, dtype=dtype)  # (c_out,)
        self.stride = stride
        self.padding = padding

    @property
    def parameters(self) -> list[Array]:
        """W and b."""
        return [self.W, self.b]

    @property
    def tensors(self) -> State:
        """W and b as ``torch.nn.Conv2d`` has them, which is as they are."""
        return {"weight": self.W, "bias": self.b}

    def _forward(self, X: Array, *, training: bool) -> tuple[Array, Cache]:  # noqa: ARG002  # as every layer
        return conv2d_forward(X, self.W, self.b, stride=self.stride, padding=self.padding)

    def _backward(self, dZ: Array, cache: Cache) -> tuple[Array, ...]:
        return conv2d_backward(dZ, cache)


class _Pool(Operation):
    """What both kinds of pooling have."""

    def __init__(self, size: int = 2, *, stride: int | None = None) -> None:
        check_whole("size", size)
        self.size = size
        self.stride = size if stride is None else stride
        check_whole("stride", self.stride)


class MaxPool2d(_Pool):
    """Max pooling as a layer: the largest pixel of every patch.

    Z_icyx = max_kl P_icklyx, where P are the patches of X

    Parameters
    ----------
    size : int, default 2
        Height and width of a patch, in pixels.
    stride : int, default size
        Pixels from one patch to the next.

    Raises
    ------
    ValueError
        If a number is below 1; the message gives it.
    TypeError
        If a number is not whole.

    Examples
    --------
    >>> MaxPool2d(2).forward(np.arange(20.0).reshape(1, 1, 4, 5))
    array([[[[ 6.,  8.],
             [16., 18.]]]])
    """

    def _forward(self, X: Array, *, training: bool) -> tuple[Array, MaxCache]:  # noqa: ARG002  # as every layer
        return max_pool2d_forward(X, size=self.size, stride=self.stride)

    def _backward(self, dZ: Array, cache: MaxCache) -> Array:
        return max_pool2d_backward(dZ, cache)


class AvgPool2d(_Pool):
    """Average pooling as a layer: the mean of every patch.

    Z_icyx = (1 / s²) Σ_kl P_icklyx, where P are the patches of X and s is their size

    Parameters
    ----------
    size : int, default 2
        Height and width s of a patch, in pixels.
    stride : int, default size
        Pixels from one patch to the next.

    Raises
    ------
    ValueError
        If a number is below 1; the message gives it.
    TypeError
        If a number is not whole.

    Examples
    --------
    >>> AvgPool2d(2).forward(np.arange(20.0).reshape(1, 1, 4, 5))
    array([[[[ 3.,  5.],
             [13., 15.]]]])
    """

    def _forward(self, X: Array, *, training: bool) -> tuple[Array, AverageCache]:  # noqa: ARG002  # as every layer
        return average_pool2d_forward(X, size=self.size, stride=self.stride)

    def _backward(self, dZ: Array, cache: AverageCache) -> Array:
        return average_pool2d_backward(dZ, cache)


class Flatten(Operation):
    """Flattening as a layer: the pixels of every example in one row.

    Examples
    --------
    >>> Flatten().forward(np.zeros((5, 8, 7, 7))).shape
    (5, 392)
    """

    def _forward(self, X: Array, *, training: bool) -> tuple[Array, Array]:  # noqa: ARG002  # as every layer
        return flatten_forward(X)

    def _backward(self, dZ: Array, cache: Array) -> Array:
        return flatten_backward(dZ, cache)
