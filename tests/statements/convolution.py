"""Proofs of what the docstrings of convolution and pooling state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from dlbook.scratch import convolution, layers, pooling
from dlbook.scratch.checks import Array
from tests.proof import Pairs
from tests.statements import Statement, states

CONVOLVED = "Z_ioyx = Σ_ckl W_ockl P_icklyx + b_o, where P are the patches of X"
LARGEST = "Z_icyx = max_kl P_icklyx, where P are the patches of X"
AVERAGE = "Z_icyx = (1 / s²) Σ_kl P_icklyx, where P are the patches of X and s is their size"


class Drawn(NamedTuple):
    X: Array
    size: tuple[int, int]
    stride: int
    padding: int

    @property
    def options(self) -> dict[str, int]:
        return {"stride": self.stride, "padding": self.padding}

    def patches(self) -> Array:
        """Cut patches out pixel by pixel."""
        (n, c, h, w), (kh, kw), s, p = self.X.shape, self.size, self.stride, self.padding
        h_out, w_out = (h + 2 * p - kh) // s + 1, (w + 2 * p - kw) // s + 1
        P = np.zeros((n, c, kh, kw, h_out, w_out))
        for k, m, y, x in np.ndindex(P.shape[2:]):
            row, column = s * y + k - p, s * x + m - p
            if 0 <= row < h and 0 <= column < w:
                P[:, :, k, m, y, x] = self.X[:, :, row, column]
        return P

    def added(self, dP: Array) -> Array:
        """Add patches up pixel by pixel."""
        dX, s, p = np.zeros(self.X.shape), self.stride, self.padding
        for h, w in np.ndindex(dX.shape[2:]):
            for k, m, y, x in np.ndindex(dP.shape[2:]):
                if (s * y + k - p, s * x + m - p) == (h, w):
                    dX[:, :, h, w] += dP[:, :, k, m, y, x]
        return dX


def drawn(rng: Generator, *, square: bool = False, pad: bool = True) -> Iterator[Drawn]:
    for _ in range(100):
        n, c, kh, kw, stride = (int(m) for m in rng.integers(1, 4, size=5))
        kw, padding = kh if square else kw, int(rng.integers(0, 2)) if pad else 0
        h, w = kh + rng.integers(0, 3), kw + rng.integers(0, 3)
        yield Drawn(rng.normal(size=(n, c, h, w)), (kh, kw), stride, padding)


def drawn_filters(rng: Generator) -> Iterator[tuple[Drawn, Array, Array]]:
    for d in drawn(rng):
        c_out = int(rng.integers(1, 4))
        yield d, rng.normal(size=(c_out, d.X.shape[1], *d.size)), rng.normal(size=c_out)


@states(
    convolution.patches,
    "P_icklyx = X_i,c,(s y + k − p),(s x + l − p), and 0 where that lies outside the image; there "
    "are h_out = ⌊(h + 2p − kh) / s⌋ + 1 places from top to bottom, and w_out likewise",
)
def patches(rng: Generator) -> Pairs:
    for d in drawn(rng):
        yield convolution.patches(d.X, d.size, **d.options), d.patches()


@states(
    convolution.add_patches,
    "dX_ichw = Σ dP_icklyx, over all k, l, y, x with s y + k − p = h and s x + l − p = w",
)
def add_patches(rng: Generator) -> Pairs:
    for d in drawn(rng):
        dP = rng.normal(size=d.patches().shape)
        yield convolution.add_patches(dP, d.X.shape[2:], **d.options), d.added(dP)


@states(convolution.conv2d_forward, CONVOLVED)
def forward(rng: Generator) -> Pairs:
    for d, W, b in drawn_filters(rng):
        Z, _ = convolution.conv2d_forward(d.X, W, b, **d.options)
        yield Z, np.einsum("ockl,icklyx->ioyx", W, d.patches()) + b[:, None, None]


@states(
    convolution.conv2d_backward,
    "dP_icklyx = Σ_o W_ockl dZ_ioyx, and dX adds up dP; dW_ockl = Σ_iyx dZ_ioyx P_icklyx, and "
    "db_o = Σ_iyx dZ_ioyx",
)
def backward(rng: Generator) -> Pairs:
    for d, W, b in drawn_filters(rng):
        Z, cache = convolution.conv2d_forward(d.X, W, b, **d.options)
        dZ = rng.normal(size=Z.shape)
        dX, dW, db = convolution.conv2d_backward(dZ, cache)
        yield dX, d.added(np.einsum("ockl,ioyx->icklyx", W, dZ))
        yield dW, np.einsum("ioyx,icklyx->ockl", dZ, d.patches())
        yield db, np.einsum("ioyx->o", dZ)


@states(layers.Conv2d, CONVOLVED)
def layer(rng: Generator) -> Pairs:
    for d in drawn(rng, square=True):
        c_out = int(rng.integers(1, 4))
        conv = layers.Conv2d(
            d.X.shape[1],
            c_out,
            d.size[0],
            stride=d.stride,
            padding=d.padding,
            rng=rng,
            dtype=np.float64,
        )
        conv.b[:] = rng.normal(size=c_out)
        expected = np.einsum("ockl,icklyx->ioyx", conv.W, d.patches()) + conv.b[:, None, None]
        yield conv.forward(d.X), expected


def pools(
    function: Callable[..., Any],
    text: str,
    pool: Callable[[Drawn], Array],
    expected: Callable[[Array], Array],
) -> Statement:
    """Make a proof that ``pool`` finds what is ``expected`` of patches."""

    def prove(rng: Generator) -> Pairs:
        for d in drawn(rng, square=True, pad=False):
            yield pool(d), expected(d.patches())

    return states(function, text)(prove)


def largest(P: Array) -> Array:
    Z = np.full(P.shape[:2] + P.shape[4:], -np.inf)
    for k, m in np.ndindex(P.shape[2:4]):
        Z = np.where(P[:, :, k, m] > Z, P[:, :, k, m], Z)
    return Z


def average(P: Array) -> Array:
    mean: Array = np.einsum("icklyx->icyx", P) / P.shape[2] ** 2
    return mean


POOLS = [
    pools(
        pooling.max_pool2d_forward,
        LARGEST,
        lambda d: pooling.max_pool2d_forward(d.X, size=d.size[0], stride=d.stride)[0],
        largest,
    ),
    pools(
        layers.MaxPool2d,
        LARGEST,
        lambda d: layers.MaxPool2d(d.size[0], stride=d.stride).forward(d.X),
        largest,
    ),
    pools(
        pooling.average_pool2d_forward,
        AVERAGE,
        lambda d: pooling.average_pool2d_forward(d.X, size=d.size[0], stride=d.stride)[0],
        average,
    ),
    pools(
        layers.AvgPool2d,
        AVERAGE,
        lambda d: layers.AvgPool2d(d.size[0], stride=d.stride).forward(d.X),
        average,
    ),
]


@states(
    pooling.max_pool2d_backward,
    "dP_icklyx = dZ_icyx where (k, l) is where the largest pixel stands, and 0 elsewhere; dX adds "
    "up dP",
)
def max_backward(rng: Generator) -> Pairs:
    for d in drawn(rng, square=True, pad=False):
        Z, cache = pooling.max_pool2d_forward(d.X, size=d.size[0], stride=d.stride)
        dZ = rng.normal(size=Z.shape)
        P = d.patches()
        dP = np.where(largest(P)[:, :, None, None] == P, dZ[:, :, None, None], 0.0)
        yield pooling.max_pool2d_backward(dZ, cache), d.added(dP)


@states(pooling.average_pool2d_backward, "dP_icklyx = dZ_icyx / s², and dX adds up dP")
def average_backward(rng: Generator) -> Pairs:
    for d in drawn(rng, square=True, pad=False):
        Z, cache = pooling.average_pool2d_forward(d.X, size=d.size[0], stride=d.stride)
        dZ = rng.normal(size=Z.shape)
        dP = np.einsum("icyx,kl->icklyx", dZ, np.ones(d.size)) / d.size[0] ** 2
        yield pooling.average_pool2d_backward(dZ, cache), d.added(dP)
