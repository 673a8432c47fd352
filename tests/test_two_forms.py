"""Where fast code differs from its derivation: both, and that they are equal.

The forms that are nowhere in the package are written here, and ``book/how-fast.md`` shows them.
Those of the optimizers are in ``dlbook.scratch.updates``, and held equal in
``tests/test_optimizers.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dlbook.scratch import optimizers, reductions, updates
from dlbook.scratch.activations import log_softmax_backward, log_softmax_forward
from dlbook.scratch.checks import Array, Labels
from dlbook.scratch.convolution import conv2d_backward, conv2d_forward
from dlbook.scratch.layers import mlp
from dlbook.scratch.linear import (
    linear_backward,
    linear_forward,
    linear_input_gradient,
    linear_parameter_gradients,
)
from dlbook.scratch.losses import cross_entropy_backward, cross_entropy_forward

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book/how-fast.md").read_text(encoding="utf-8")


def draws() -> Iterator[np.random.Generator]:
    return map(np.random.default_rng, range(100))


def test_the_two_parts_of_linear_backward_are_the_whole() -> None:
    for rng in draws():
        n, d_in, d_out = rng.integers(1, 40, size=3)
        X, W, dZ = (rng.normal(size=shape) for shape in ((n, d_in), (d_in, d_out), (n, d_out)))
        _, cache = linear_forward(X, W, np.zeros(d_out))
        parts = linear_input_gradient(dZ, cache), *linear_parameter_gradients(dZ, cache)
        for part, whole in zip(parts, linear_backward(dZ, cache), strict=True):
            assert_allclose(part, whole, rtol=1e-12, atol=1e-12)


def test_sparing_the_gradient_of_the_data_changes_no_other() -> None:
    for rng in draws():
        model = mlp([3, 4, 2], rng=rng, dtype=np.float64)
        model.forward(rng.normal(size=(5, 3)))
        dZ = rng.normal(size=(5, 2))
        model.backward(dZ)
        kept = [gradient.copy() for gradient in model.gradients]
        model.backward_parameters(dZ)
        for gradient, whole in zip(model.gradients, kept, strict=True):
            assert_array_equal(gradient, whole)


def cross_entropy_by_parts(Z: Array, y: Labels) -> tuple[float, Array]:
    """Take the logarithm of the softmax, then the mean; go back through the one, then the other."""
    n = len(y)
    log_P, cache = log_softmax_forward(Z)  # (n, k)
    loss = float(-log_P[np.arange(n), y].mean())
    dlog_P = np.zeros_like(Z)  # (n, k)
    dlog_P[np.arange(n), y] = -1 / n
    return loss, log_softmax_backward(dlog_P, cache)


def test_cross_entropy_at_once_is_log_softmax_and_a_mean() -> None:
    for rng in draws():
        n, k = rng.integers(1, 100, size=2)
        Z, y = rng.normal(scale=5, size=(n, k)), rng.integers(k, size=n)
        loss, cache = cross_entropy_forward(Z, y)
        loss_by_parts, dZ_by_parts = cross_entropy_by_parts(Z, y)
        assert loss == pytest.approx(loss_by_parts, rel=1e-12)
        assert_allclose(cross_entropy_backward(cache), dZ_by_parts, rtol=1e-12, atol=1e-13)


def conv2d_by_places(X: Array, W: Array, b: Array, stride: int) -> Array:
    """Hold the filters against one place of the images after the other."""
    kh, kw = W.shape[2:]
    places = (X.shape[2] - kh) // stride + 1, (X.shape[3] - kw) // stride + 1
    Z = np.zeros((len(X), len(W), *places))
    for y, x in np.ndindex(*places):
        patch = X[:, :, stride * y : stride * y + kh, stride * x : stride * x + kw]
        Z[:, :, y, x] = np.einsum("ickl,ockl->io", patch, W) + b
    return Z


def conv2d_backward_by_places(
    dZ: Array, X: Array, W: Array, stride: int
) -> tuple[Array, Array, Array]:
    """Give each place's share to the pixels and the filters that met there."""
    kh, kw = W.shape[2:]
    dX, dW = np.zeros_like(X), np.zeros_like(W)
    for y, x in np.ndindex(*dZ.shape[2:]):
        rows, columns = slice(stride * y, stride * y + kh), slice(stride * x, stride * x + kw)
        dX[:, :, rows, columns] += np.einsum("io,ockl->ickl", dZ[:, :, y, x], W)
        dW += np.einsum("io,ickl->ockl", dZ[:, :, y, x], X[:, :, rows, columns])
    return dX, dW, dZ.sum(axis=(0, 2, 3))


def test_convolution_by_one_product_is_that_of_one_place_after_the_other() -> None:
    for rng in draws():
        n, c_in, c_out, kh, kw, stride = (int(m) for m in rng.integers(1, 4, size=6))
        X = rng.normal(size=(n, c_in, kh + rng.integers(5), kw + rng.integers(5)))
        W, b = rng.normal(size=(c_out, c_in, kh, kw)), rng.normal(size=c_out)
        Z, cache = conv2d_forward(X, W, b, stride=stride)
        assert_allclose(Z, conv2d_by_places(X, W, b, stride), rtol=1e-12, atol=1e-12)
        dZ = rng.normal(size=Z.shape)
        by_places = conv2d_backward_by_places(dZ, X, W, stride)
        for found, expected in zip(conv2d_backward(dZ, cache), by_places, strict=True):
            assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def listed() -> set[str]:
    return set(re.findall(r"^ *name: ([\w.]+)$", PAGE, re.MULTILINE))


def test_the_page_shows_each_pair_of_forms() -> None:
    pairs = {f"dlbook.scratch.updates.{name}" for name in updates.__all__}
    pairs |= {f"dlbook.scratch.reductions.{name}" for name in reductions.__all__}
    pairs |= {
        f"dlbook.scratch.optimizers.{kind}._change"
        for kind in optimizers.__all__
        if "_change" in vars(getattr(optimizers, kind)) and kind != "Optimizer"
    }
    here = {f"tests.test_two_forms.{name}" for name in globals() if "_by_p" in name}
    assert len(here) == 3
    assert pairs | here <= listed()


def test_each_test_that_the_page_names_is_there() -> None:
    named: Any = re.findall(r"`(test_\w+)` \(`(tests/\w+\.py)`\)", PAGE)
    assert len(named) >= 6
    for name, file in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"{file}::{name}"
