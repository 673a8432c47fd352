from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from dlbook.scratch.activations import (
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
)

FLOATS = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", FLOATS)
def test_sigmoid_is_safe_and_right_from_minus_to_plus_ten_thousand(dtype: Any) -> None:
    Z = np.r_[np.linspace(-1e4, 1e4, 4001), np.linspace(-20, 20, 401)].astype(dtype)
    A = sigmoid(Z)  # any warning is an error in this suite
    assert A.dtype == dtype
    limits = np.finfo(dtype)
    assert_allclose(A, special.expit(Z), rtol=4 * limits.eps, atol=limits.tiny)
    assert np.all((A >= 0) & (A <= 1))


def test_sigmoid_has_the_values_worked_by_hand_and_its_symmetry() -> None:
    Z = np.array([0.0, np.log(3.0), -np.log(3.0)])
    assert_allclose(sigmoid(Z), [0.5, 0.75, 0.25], rtol=1e-15)
    Z = np.linspace(-30, 30, 61)
    assert_allclose(sigmoid(Z) + sigmoid(-Z), 1, rtol=1e-15)


def test_sigmoid_slope_is_largest_at_zero_and_vanishes_far_out() -> None:
    A = sigmoid(np.array([-50.0, 0.0, 50.0]))
    assert_allclose(sigmoid_backward(np.ones(3), A), [0, 0.25, 0], atol=1e-20)


def test_relu_cuts_off_and_lets_nothing_back_at_or_below_zero() -> None:
    Z = np.array([-3.0, -0.0, 0.0, 1e-300, 2.0])
    assert_array_equal(relu(Z), [0, 0, 0, 1e-300, 2])
    assert_array_equal(relu_backward(np.full(5, -7.0), Z), [0, 0, 0, -7, -7])


@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax_is_safe_for_huge_logits_and_agrees_with_scipy(dtype: Any) -> None:
    assert_array_equal(
        softmax(np.array([[1000, 0, 0, 0], [-1e4, 1e4, 0, 0]], dtype))[:, :2], np.eye(2)
    )
    Z = np.random.default_rng(0).normal(size=(50, 7), scale=20).astype(dtype)
    limits = np.finfo(dtype)
    assert_allclose(softmax(Z), special.softmax(Z, axis=-1), rtol=50 * limits.eps)


def test_softmax_rows_sum_to_one_and_do_not_change_when_a_constant_is_added() -> None:
    Z = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert_allclose(softmax(Z).sum(axis=-1), 1, rtol=1e-15)
    assert_allclose(softmax(Z + 100), softmax(Z), rtol=1e-12)
    assert_allclose(softmax(np.log([1.0, 2.0, 5.0])), [0.125, 0.25, 0.625], rtol=1e-15)


def test_softmax_backward_is_the_product_with_its_whole_jacobian() -> None:
    rng = np.random.default_rng(0)
    P, dP = softmax(rng.normal(size=4)), rng.normal(size=4)
    jacobian = np.array([[P[i] * ((i == j) - P[j]) for j in range(4)] for i in range(4)])
    assert_allclose(softmax_backward(dP, P), jacobian.T @ dP, rtol=1e-13)


@pytest.mark.parametrize("activation", [sigmoid, relu, softmax])
def test_nan_is_passed_on_and_not_hidden(activation: Callable[[np.ndarray], np.ndarray]) -> None:
    assert np.isnan(activation(np.array([np.nan]))).all()
