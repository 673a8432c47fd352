from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from dlbook.scratch.layers import mlp
from dlbook.scratch.losses import mse_backward, mse_forward
from dlbook.scratch.normalization import (
    batch_norm_backward,
    batch_norm_forward,
    fixed_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
    running_statistics,
)
from dlbook.scratch.optimizers import SGD
from dlbook.scratch.penalties import l2_penalty_backward, l2_penalty_forward


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def unit(d: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ones(d), np.zeros(d)


def test_a_batch_norm_worked_by_hand() -> None:
    X = np.array([[1.0, 10.0], [3.0, 10.0], [5.0, 40.0]])
    Z, _ = batch_norm_forward(X, np.array([2.0, 1.0]), np.array([0.0, 7.0]), eps=1e-30)
    half, root = np.sqrt(1 / 2), np.sqrt(3 / 2)
    assert_allclose(Z[:, 0], [-2 * root, 0, 2 * root], rtol=1e-12, atol=1e-15)
    assert_allclose(Z[:, 1], [7 - half, 7 - half, 7 + 2 * half], rtol=1e-12)


def test_normalized_features_have_mean_beta_and_deviation_gamma() -> None:
    gamma, beta = np.array([2.0, 3.0, 0.5]), np.array([1.0, 0.0, -4.0])
    for shape, axes in [((50, 3), (0,)), ((5, 3, 4, 2), (0, 2, 3))]:
        X = rng().normal(100, 20, size=shape)
        Z, _ = batch_norm_forward(X, gamma, beta, eps=1e-12)
        assert_allclose(Z.mean(axis=axes), beta, atol=1e-12)
        assert_allclose(Z.std(axis=axes), gamma, rtol=1e-12)


def test_normalized_rows_have_mean_zero_and_deviation_one_whatever_the_others_are() -> None:
    X = rng().normal(100, 20, size=(4, 3, 50))
    Z, _ = layer_norm_forward(X, *unit(50), eps=1e-12)
    assert_allclose(Z.mean(axis=-1), 0, atol=1e-12)
    assert_allclose(Z.std(axis=-1), 1, rtol=1e-12)
    assert_allclose(layer_norm_forward(X[:1, 1:2], *unit(50), eps=1e-12)[0], Z[:1, 1:2], rtol=1e-12)


@pytest.mark.parametrize("normalize", ["batch", "layer"])
def test_the_gradient_is_blind_to_shifts_and_to_scalings(normalize: str) -> None:
    forward: Any = batch_norm_forward if normalize == "batch" else layer_norm_forward
    backward: Any = batch_norm_backward if normalize == "batch" else layer_norm_backward
    axis = 0 if normalize == "batch" else 1
    X = rng().normal(size=(6, 5))
    Z, cache = forward(X, *unit(5), eps=1e-30)
    dX, _, _ = backward(rng(1).normal(size=Z.shape), cache)
    assert_allclose(dX.sum(axis=axis), 0, atol=1e-12)
    assert_allclose((dX * X).sum(axis=axis), 0, atol=1e-12)


@pytest.mark.parametrize("shape", [(20_000, 2), (200, 2, 10, 10)])
def test_a_variance_is_taken_from_deviations_in_float32_too(shape: tuple[int, ...]) -> None:
    X = rng().normal(1000, 0.1, size=shape).astype(np.float32)
    axes = (0, *range(2, X.ndim))
    shortcut = np.mean(X**2, axis=axes) - np.mean(X, axis=axes) ** 2
    assert (abs(shortcut - 0.01) > 0.01).all(), "the shortcut is off by more than all there is"
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    exact = X.astype(np.float64)
    center = exact.mean(axis=axes, keepdims=True)
    expected = (exact - center) / np.sqrt(exact.var(axis=axes, keepdims=True) + 1e-5)
    assert_allclose(batch_norm_forward(X, ones, zeros)[0], expected, atol=2e-3)
    mean, variance = running_statistics(X, zeros, zeros, momentum=0.5)
    assert_allclose(mean, center.ravel() / 2, rtol=1e-6)
    assert_allclose(variance, exact.var(axis=axes, ddof=1) / 2, rtol=2e-5)


def test_many_small_squares_are_added_up_in_double_precision() -> None:
    X = np.tile(np.array([[0.1], [-0.1]], np.float32), (150_000, 2))
    squares = (X**2).mean(axis=0)
    assert (abs(squares / 0.01 - 1) > 1e-4).all(), "in single precision the sum drifts away"
    zeros = np.zeros(2, np.float32)
    _, variance = running_statistics(X, zeros, zeros, momentum=0.5)
    assert_allclose(variance, 0.005, rtol=1e-5)


def test_a_rows_variance_is_taken_from_deviations_in_float32_too() -> None:
    X = rng().normal(1000, 0.1, size=(3, 10_000)).astype(np.float32)
    ones = np.ones(10_000, np.float32)
    exact = X.astype(np.float64)
    deviations = exact - exact.mean(axis=1, keepdims=True)
    expected = deviations / np.sqrt(exact.var(axis=1, keepdims=True) + 1e-5)
    assert_allclose(layer_norm_forward(X, ones, np.zeros_like(ones))[0], expected, atol=2e-3)


def test_running_statistics_are_pytorchs_and_their_variance_is_unbiased() -> None:
    theirs = torch.nn.BatchNorm2d(3, momentum=0.3).double()
    mean, variance = reversed(unit(3))
    for step in range(5):
        X = rng(step).normal(step, 2, size=(2, 3, 2, 2))
        theirs(torch.tensor(X))
        mean, variance = running_statistics(X, mean, variance, momentum=0.3)
        assert_allclose(mean, theirs.running_mean, rtol=1e-12)  # type: ignore[arg-type]  # a tensor
        assert_allclose(variance, theirs.running_var, rtol=1e-12)  # type: ignore[arg-type]  # a tensor
    assert_array_equal(running_statistics(X, mean, variance, momentum=0.0)[0], mean)
    two = np.array([[1.0], [3.0]])
    assert running_statistics(two, np.zeros(1), np.zeros(1), momentum=0.5)[1] == 0.5 * 2


def test_statistics_that_are_given_make_rows_independent_of_each_other() -> None:
    X = rng().normal(size=(4, 3))
    mean, variance = rng(1).normal(size=3), rng(1).uniform(1, 2, size=3)
    whole, _ = fixed_norm_forward(X, *unit(3), mean, variance)
    alone, _ = fixed_norm_forward(X[:1], *unit(3), mean, variance)
    assert_array_equal(alone, whole[:1])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_running_statistics_have_the_dtype_of_the_batch_and_one_entry_a_feature(place: int) -> None:
    given = [rng().normal(size=(4, 3)), np.zeros(3), np.ones(3)]
    name = ("X", "mean", "variance")[place]
    single = [a.astype(np.float32) if i == place else a for i, a in enumerate(given)]
    with pytest.raises(TypeError, match=r"expected (\w+) in float(64|32) to go with mean, got"):
        running_statistics(*single)
    short = [a[..., :1] if i == place else a for i, a in enumerate(given)]
    told = "variance" if name == "mean" else name
    with pytest.raises(ValueError, match=f"expected {told} of shape .* to go with mean"):
        running_statistics(*short)


def test_a_feature_without_variance_is_divided_by_the_root_of_eps() -> None:
    X = np.array([[3.0, 5.0]])
    Z, _ = fixed_norm_forward(X, *unit(2), np.array([1.0, 1.0]), np.array([0.0, 3.96]), eps=0.04)
    assert_allclose(Z, [[2 / 0.2, 4 / 2.0]], rtol=1e-12)


def test_constant_features_become_beta() -> None:
    Z, cache = batch_norm_forward(np.full((4, 2), 3.0), np.ones(2), np.array([5.0, -1.0]))
    assert_array_equal(Z, [[5, -1]] * 4)
    assert np.isfinite(batch_norm_backward(rng().normal(size=(4, 2)), cache)[0]).all()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda X: batch_norm_forward(X, *unit(3), eps=0), "expected eps from .* got 0"),
        (lambda X: layer_norm_forward(X, *unit(3), eps=-1), "expected eps from .* got -1"),
        (lambda X: fixed_norm_forward(X, *unit(3), *unit(3), eps=0), "expected eps from"),
        (lambda X: batch_norm_forward(X[:1], *unit(3)), r"two entries .*got X of shape \(1, 3\)"),
        (lambda X: batch_norm_forward(X[..., None], *unit(3)), r"X of shape \(n, 3\).*\(4, 3, 1\)"),
        (lambda X: batch_norm_forward(X, *unit(2)), r"X of shape \(n, 2\) .*got \(4, 3\)"),
        (lambda X: layer_norm_forward(X, *unit(2)), r"expected X of shape \(..., 2\)"),
        (lambda X: running_statistics(X[:1], *unit(3)), "at least two entries"),
        (lambda X: running_statistics(X, *unit(2)), r"expected X of shape \(n, 2\)"),
        (lambda X: running_statistics(X, *unit(3), momentum=1.5), "momentum .* got 1.5"),
        (lambda X: running_statistics(X, *unit(3), momentum=1.0), "momentum .* got 1.0"),
        (lambda X: running_statistics(X, *unit(3), momentum=-0.5), "momentum .* got -0.5"),
        (
            lambda X: fixed_norm_forward(X, *unit(3), np.zeros(3), np.array([1.0, -0.5, 3.0])),
            r"expected variances from 0 up, got -0\.5",
        ),
    ],
)
def test_what_cannot_be_normalized_is_told(call: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        call(np.zeros((4, 3)))


def test_the_l2_penalty_is_weight_decay() -> None:
    model = mlp([3, 2], rng=rng(), dtype=np.float64)
    theirs = torch.nn.Linear(3, 2).double()
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(model.parameters[0].T))
        theirs.bias.zero_()
    decay = torch.optim.SGD([theirs.weight], lr=0.1, weight_decay=0.3)
    sgd = SGD([model.parameters[0]], lr=0.1)
    X, Y = rng(1).normal(size=(5, 3)), rng(2).normal(size=(5, 2))
    for _ in range(10):
        decay.zero_grad()
        torch.nn.functional.mse_loss(theirs(torch.tensor(X)), torch.tensor(Y)).backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
        decay.step()
        model.backward(mse_backward(mse_forward(model.forward(X), Y)[1]))
        _, cache = l2_penalty_forward(model.parameters[0], weight_decay=0.3)
        sgd.step([model.gradients[0] + l2_penalty_backward(cache)])
    assert_allclose(model.parameters[0].T, theirs.weight.detach().numpy(), rtol=1e-10)


def test_the_l2_penalty_refuses_to_reward() -> None:
    with pytest.raises(ValueError, match="expected weight_decay from 0 up and finite, got -1"):
        l2_penalty_forward(np.ones(2), weight_decay=-1)
