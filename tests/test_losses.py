from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics

from dlbook.scratch.activations import sigmoid, softmax
from dlbook.scratch.losses import (
    Loss,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    binary_cross_entropy_with_logits_forward,
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_forward,
    mse,
    mse_backward,
    mse_forward,
)

FLOATS = [np.float32, np.float64]


def test_mse_is_the_mean_over_all_entries_worked_by_hand() -> None:
    loss, E = mse_forward(np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([[0.0, 2.0], [5.0, 3.0]]))
    assert loss == (1 + 0 + 4 + 9) / 4
    assert_allclose(mse_backward(E), np.array([[1, 0], [-2, 3]]) * 2 / 4)


def test_mse_agrees_with_scikit_learn() -> None:
    Z, Y = np.random.default_rng(0).normal(size=(2, 30, 3))
    assert mse_forward(Z, Y)[0] == pytest.approx(metrics.mean_squared_error(Y, Z), rel=1e-14)


def test_binary_cross_entropy_is_minus_the_log_of_the_right_answers_probability() -> None:
    p = np.array([0.9, 0.2])
    loss, cache = binary_cross_entropy_with_logits_forward(np.log(p / (1 - p)), np.array([1.0, 0]))
    assert loss == pytest.approx((-math.log(0.9) - math.log(0.8)) / 2, rel=1e-14)
    gradient = binary_cross_entropy_with_logits_backward(cache)
    assert_allclose(gradient, [(0.9 - 1) / 2, 0.2 / 2], rtol=1e-14)


def test_binary_cross_entropy_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    Z, Y = rng.normal(size=200), rng.integers(0, 2, size=200).astype(float)
    theirs = metrics.log_loss(Y, sigmoid(Z))
    assert binary_cross_entropy_with_logits_forward(Z, Y)[0] == pytest.approx(theirs, rel=1e-13)


@pytest.mark.parametrize("dtype", FLOATS)
def test_binary_cross_entropy_is_exact_far_out(dtype: Any) -> None:
    def loss(z: float, y: float) -> float:
        return binary_cross_entropy_with_logits_forward(np.array([z], dtype), np.array([y], dtype))[
            0
        ]

    assert loss(1e4, 0) == loss(-1e4, 1) == 1e4
    assert loss(1e4, 1) == loss(-1e4, 0) == 0
    assert loss(50, 1) == pytest.approx(math.exp(-50), rel=1e-5, abs=0)


def test_cross_entropy_is_minus_the_log_of_the_right_class_probability() -> None:
    P = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    loss, cache = cross_entropy_forward(np.log(P), np.array([1, 0]))
    assert loss == pytest.approx((-math.log(0.5) - math.log(0.1)) / 2, rel=1e-14)
    expected = [[0.2 / 2, (0.5 - 1) / 2, 0.3 / 2], [(0.1 - 1) / 2, 0.1 / 2, 0.8 / 2]]
    assert_allclose(cross_entropy_backward(cache), expected, rtol=1e-13)


def test_cross_entropy_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(200, 5)), rng.integers(0, 5, size=200)
    theirs = metrics.log_loss(y, softmax(Z), labels=range(5))
    assert cross_entropy_forward(Z, y)[0] == pytest.approx(theirs, rel=1e-13)


@pytest.mark.parametrize("dtype", FLOATS)
def test_cross_entropy_is_exact_for_huge_logits(dtype: Any) -> None:
    Z = np.array([[1e4, 0, 0, 0]], dtype)
    assert cross_entropy_forward(Z, np.array([0]))[0] == 0
    assert cross_entropy_forward(Z, np.array([2]))[0] == 1e4
    assert_allclose(
        cross_entropy_backward(cross_entropy_forward(Z, np.array([2]))[1]), [[1, 0, -1, 0]]
    )


@pytest.mark.parametrize("k", [2, 10, 1000])
def test_a_model_that_knows_nothing_pays_ln_k_nats(k: int) -> None:
    assert cross_entropy_forward(np.full((3, k), 7.0), np.array([0, 1, k - 1]))[0] == pytest.approx(
        math.log(k), rel=1e-14
    )
    assert binary_cross_entropy_with_logits_forward(np.zeros(4), np.ones(4))[0] == math.log(2)


def test_two_logits_and_their_difference_give_the_same_loss() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(20, 2)), rng.integers(0, 2, size=20)
    binary, _ = binary_cross_entropy_with_logits_forward(Z[:, 1] - Z[:, 0], y.astype(float))
    assert binary == pytest.approx(cross_entropy_forward(Z, y)[0], rel=1e-14)


@pytest.mark.parametrize("loss", [mse, binary_cross_entropy_with_logits, cross_entropy])
def test_a_batch_repeated_has_the_same_loss_and_a_share_of_the_gradient_each(loss: Loss) -> None:
    forward, backward = loss
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(6, 3))
    Y = rng.integers(0, 2, size=6) if loss is cross_entropy else rng.uniform(size=(6, 3))
    once, cache = forward(Z, Y)
    twice, cache_of_two = forward(np.concatenate([Z, Z]), np.concatenate([Y, Y]))
    assert twice == pytest.approx(once, rel=1e-14)
    assert_allclose(2 * backward(cache_of_two)[:6], backward(cache), rtol=1e-13)


def test_integer_targets_for_a_loss_of_floats_and_the_other_way_round_are_told() -> None:
    Z = np.zeros((3, 2))
    with pytest.raises(TypeError, match="expected Y to hold floats, got int64"):
        mse_forward(Z, np.zeros((3, 2), dtype=int))
    with pytest.raises(TypeError, match="expected integer class ids, got float64"):
        cross_entropy_forward(Z, np.zeros(3))  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match=r"expected class ids of shape \(n,\), got \(3, 1\)"):
        cross_entropy_forward(Z, np.zeros((3, 1), dtype=int))
    with pytest.raises(ValueError, match="one class id for each of the 3 rows of Z, got 2"):
        cross_entropy_forward(Z, np.zeros(2, dtype=int))
