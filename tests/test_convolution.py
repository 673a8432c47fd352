from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import correlate2d
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.scratch.convolution import add_patches, conv2d_backward, conv2d_forward, patches
from dlbook.scratch.linear import linear_forward
from dlbook.scratch.pooling import (
    average_pool2d_backward,
    average_pool2d_forward,
    flatten_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def image(*rows: list[float]) -> np.ndarray:
    return np.array([[rows]], dtype=np.float64)


def test_a_convolution_worked_by_hand() -> None:
    X = image([1, 2, 3], [4, 5, 6], [7, 8, 9])
    W = image([1, 0], [0, -1])
    Z, cache = conv2d_forward(X, W, np.array([10.0]))
    assert_array_equal(Z, image([6, 6], [6, 6]))
    dX, dW, db = conv2d_backward(image([1, 2], [3, 4]), cache)
    assert_array_equal(dX, image([1, 2, 0], [3, 3, -2], [0, -3, -4]))
    assert_array_equal(dW, image([37, 47], [67, 77]))
    assert_array_equal(db, [10])


def test_the_sum_is_that_of_the_equation_term_by_term() -> None:
    X, W, b = (
        rng().normal(size=(2, 3, 6, 7)),
        rng(1).normal(size=(4, 3, 3, 2)),
        rng().normal(size=4),
    )
    Z, _ = conv2d_forward(X, W, b, stride=2, padding=1)
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))
    assert Z.shape == (2, 4, 3, 4)
    for i, o, y, x in np.ndindex(Z.shape):
        patch = padded[i, :, 2 * y : 2 * y + 3, 2 * x : 2 * x + 2]
        assert Z[i, o, y, x] == pytest.approx((W[o] * patch).sum() + b[o], rel=1e-12)


def test_filters_are_not_turned_around() -> None:
    X, W = rng().normal(size=(1, 1, 6, 6)), rng(1).normal(size=(1, 1, 3, 3))
    Z, _ = conv2d_forward(X, W, np.zeros(1))
    assert_allclose(Z[0, 0], correlate2d(X[0, 0], W[0, 0], mode="valid"), rtol=1e-12)


def test_filters_as_large_as_the_image_are_a_linear_map() -> None:
    X, W, b = (
        rng().normal(size=(5, 2, 3, 4)),
        rng(1).normal(size=(6, 2, 3, 4)),
        rng().normal(size=6),
    )
    Z, _ = conv2d_forward(X, W, b)
    rows, _ = flatten_forward(X)
    assert_allclose(Z[:, :, 0, 0], linear_forward(rows, W.reshape(6, 24).T, b)[0], rtol=1e-12)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (3, 1), (1, 2), (5, 2)])
def test_adding_patches_is_the_transpose_of_cutting_them_out(stride: int, padding: int) -> None:
    X = rng().normal(size=(2, 3, 7, 6))
    P = patches(X, (3, 2), stride=stride, padding=padding)
    dP = rng(1).normal(size=P.shape)
    dX = add_patches(dP, (7, 6), stride=stride, padding=padding)
    assert (P * dP).sum() == pytest.approx((X * dX).sum(), rel=1e-12)


def test_patches_lie_one_pixel_apart_and_none_is_added_around_unless_told_otherwise() -> None:
    X = rng().normal(size=(1, 1, 4, 5))
    P = patches(X, (2, 3))
    assert P.shape == (1, 1, 2, 3, 3, 3)
    for y, x in np.ndindex(3, 3):
        assert_array_equal(P[..., y, x], X[..., y : y + 2, x : x + 3])
    dP = rng(1).normal(size=P.shape)
    assert_array_equal(add_patches(dP, (4, 5)), add_patches(dP, (4, 5), stride=1, padding=0))


def test_patches_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        patches(image([1, 2], [3, 4]), (1, 1))[...] = 0


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (max_pool2d_forward, max_pool2d_backward),
        (average_pool2d_forward, average_pool2d_backward),
    ],
)
def test_pixels_that_no_patch_holds_get_no_gradient(forward: Any, backward: Any) -> None:
    Z, cache = forward(rng().normal(size=(1, 1, 5, 5)))
    assert Z.shape == (1, 1, 2, 2)
    dX = backward(np.ones_like(Z), cache)
    assert not dX[..., 4, :].any()
    assert not dX[..., :, 4].any()
    assert dX.sum() == pytest.approx(4)


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 1), (2, 3)])
def test_of_equal_pixels_the_first_takes_the_gradient_as_in_pytorch(size: int, stride: int) -> None:
    X = rng().integers(0, 2, size=(3, 2, 7, 7)).astype(np.float64)
    Z, cache = max_pool2d_forward(X, size=size, stride=stride)
    dZ = rng(1).normal(size=Z.shape)
    theirs = torch.tensor(X, requires_grad=True)
    F.max_pool2d(theirs, size, stride).backward(torch.tensor(dZ))  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
    assert theirs.grad is not None
    assert_allclose(max_pool2d_backward(dZ, cache), theirs.grad.numpy(), atol=1e-14)


def test_the_largest_of_negative_pixels_is_negative() -> None:
    assert max_pool2d_forward(image([-3, -1], [-2, -4]))[0].item() == -1


def test_stride_is_the_size_of_a_patch_unless_given() -> None:
    X = rng().normal(size=(1, 1, 9, 9))
    pools: list[Any] = [max_pool2d_forward, average_pool2d_forward]
    for forward in pools:
        assert_array_equal(forward(X, size=3)[0], forward(X, size=3, stride=3)[0])
        assert forward(X, size=3)[0].shape == (1, 1, 3, 3)


X = np.zeros((2, 3, 4, 5))
W, b = np.zeros((6, 3, 2, 2)), np.zeros(6)


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: conv2d_forward(X, W, b, stride=0), ValueError, "stride of at least 1, got 0"),
        (lambda: conv2d_forward(X, W, b, padding=-1), ValueError, "padding of at least 0, got -1"),
        (lambda: conv2d_forward(X, W, b, stride=1.5), TypeError, "whole number, got 1.5"),  # type: ignore[arg-type]  # on purpose
        (lambda: conv2d_forward(X, W[:, :, :0], b), ValueError, "kernel height of at least 1"),
        (lambda: conv2d_forward(X, W[:, :2], b), ValueError, r"expected X of shape \(n, 2, h, w\)"),
        (
            lambda: patches(X, (5, 5)),
            ValueError,
            "fits into images of 4 x 5 pixels with padding 0, got one of 5 x 5 pixels",
        ),
        (lambda: patches(X[0], (2, 2)), ValueError, r"X of shape \(n, c, h, w\), got \(3, 4, 5\)"),
        (lambda: patches(X.astype(int), (2, 2)), TypeError, "expected X to hold floats, got int"),
        (
            lambda: add_patches(np.zeros((1, 2, 2, 3, 3)), (4, 4)),
            ValueError,
            r"dP of shape \(n, c, kh, kw, h_out, w_out\), got \(1, 2, 2, 3, 3\)",
        ),
        (
            lambda: add_patches(np.zeros((1, 1, 2, 2, 3, 3), int), (4, 4)),
            TypeError,
            "expected dP to hold floats, got int",
        ),
        (lambda: patches(X, (2, 6)), ValueError, "of 4 x 5 pixels .*, got one of 2 x 6 pixels"),
        (lambda: patches(X, (5, 2)), ValueError, "of 4 x 5 pixels .*, got one of 5 x 2 pixels"),
        (lambda: patches(X, (2, 0)), ValueError, "kernel width of at least 1, got 0"),
        (lambda: max_pool2d_forward(X, size=5), ValueError, "got one of 5 x 5 pixels"),
        (lambda: max_pool2d_forward(X, size=0), ValueError, "kernel height of at least 1, got 0"),
        (lambda: average_pool2d_forward(X, stride=0), ValueError, "stride of at least 1, got 0"),
        (
            lambda: add_patches(np.zeros((1, 1, 2, 2, 3, 3)), (5, 5)),
            ValueError,
            r"images of 5 x 5 pixels, at stride 1 and padding 0, got dP of shape \(1, 1, 2, 2, ",
        ),
        (
            lambda: add_patches(np.zeros((1, 1, 2, 2, 3, 3)), (4, 4), padding=-1),
            ValueError,
            "at least 0, got -1",
        ),
    ],
)
def test_what_does_not_fit_is_told(call: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        call()
