from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from dlbook.scratch.optimizers import SGD, Adam

SHAPES = [(4, 3), (3,), (2, 2)]


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (SGD, torch.optim.SGD, {"lr": 0.1}),
        (SGD, torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
        (Adam, torch.optim.Adam, {}),
        (Adam, torch.optim.Adam, {"lr": 0.3, "betas": (0.7, 0.9), "eps": 1e-3}),
    ],
    ids=["SGD", "momentum", "Adam", "Adam, other numbers"],
)
def test_a_hundred_steps_agree_with_torch_optim(ours: Any, theirs: Any, options: Any) -> None:
    rng = np.random.default_rng(0)
    parameters = [rng.normal(size=shape) for shape in SHAPES]
    tensors = [torch.tensor(w) for w in parameters]
    optimizer, reference = ours(parameters, **options), theirs(tensors, **options)
    for _ in range(100):
        gradients = [rng.normal(size=shape, scale=rng.choice([1e-4, 1, 30])) for shape in SHAPES]
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = torch.tensor(gradient)
        optimizer.step(gradients)
        reference.step()
        for w, tensor in zip(parameters, tensors, strict=True):
            assert_allclose(w, tensor.numpy(), rtol=1e-10, atol=1e-10)


def test_momentum_steps_are_those_worked_by_hand() -> None:
    w = np.array([1.0])
    optimizer = SGD([w], lr=0.1, momentum=0.5)
    for gradient, after in [(2.0, 0.8), (2.0, 0.5), (-1.0, 0.45)]:  # v = 2, 3, 0.5
        optimizer.step([np.array([gradient])])
        assert w[0] == pytest.approx(after, rel=1e-14)


def test_the_first_step_of_adam_is_the_rate_whatever_the_gradients_size() -> None:
    w = np.zeros(4)
    Adam([w], lr=0.25).step([np.array([1e-3, -1.0, 1e5, 0.0])])
    assert_allclose(w, [-0.25, 0.25, -0.25, 0], rtol=2e-5)


@pytest.mark.parametrize("make", [SGD, Adam])
def test_parameters_change_in_place_and_gradients_do_not_change(make: Any) -> None:
    w, g = np.ones((2, 2), dtype=np.float32), np.ones((2, 2), dtype=np.float32)
    optimizer = make([w], lr=0.1)
    for _ in range(2):
        optimizer.step([g])
    assert optimizer.parameters[0] is w
    assert w.dtype == np.float32
    assert np.all(w < 1)
    assert_array_equal(g, 1)


@pytest.mark.parametrize("make", [SGD, Adam])
def test_bad_gradients_are_told_before_anything_changes(make: Any) -> None:
    parameters = [np.ones((2, 1)), np.ones(1)]
    optimizer = make(parameters, lr=0.1)
    right = np.ones((2, 1))
    for gradients, error, message in [
        ([right], ValueError, "a gradient for each of 2 parameters, got 1"),
        ([], ValueError, "got 0: run the backward pass first"),
        ([right, np.ones((1, 1))], ValueError, r"expected gradients\[1\] of shape \(1,\)"),
        ([right, np.ones(1, dtype=np.float32)], TypeError, r"expected gradients\[1\] in float64"),
        ([right, [1.0]], TypeError, r"expected gradients\[1\] to be an array of floats, got list"),
        ([right, None], TypeError, "got NoneType"),
    ]:
        with pytest.raises(error, match=message):
            optimizer.step(gradients)
    assert_array_equal(parameters[0], 1)
    optimizer.step([right, np.ones(1)])
    assert getattr(optimizer, "steps", 1) == 1


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (SGD, {"lr": -0.1}, "expected lr from 0 up and finite, got -0.1"),
        (SGD, {"lr": float("nan")}, "expected lr from 0 up and finite, got nan"),
        (SGD, {"lr": float("inf")}, "expected lr from 0 up and finite, got inf"),
        (SGD, {"lr": 0.1, "momentum": 1.5}, "expected momentum from 0 up and below 1, got 1.5"),
        (Adam, {"lr": -1}, "expected lr from 0 up and finite, got -1"),
        (Adam, {"betas": (0.9, 1.0)}, r"expected betas\[1\] from 0 up and below 1, got 1.0"),
        (Adam, {"eps": 0.0}, "expected eps from .* up and finite, got 0.0"),
    ],
)
def test_numbers_out_of_range_are_told(make: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make([np.ones(2)], **options)


@pytest.mark.parametrize("make", [SGD, Adam])
def test_parameters_that_cannot_be_trained_are_told(make: Any) -> None:
    fixed = np.ones(2)
    fixed.flags.writeable = False
    for parameters, error, message in [
        ([], ValueError, "at least one parameter, got none"),
        ([np.ones(2, dtype=int)], TypeError, r"expected parameters\[0\] to hold floats, got int64"),
        ([np.ones(2), 3.0], TypeError, r"expected parameters\[1\] to be an array"),
        ([fixed], ValueError, r"got a read-only array: use parameters\[0\].copy\(\)"),
    ]:
        with pytest.raises(error, match=message):
            make(parameters, lr=0.1)
    with pytest.raises(TypeError, match="expected lr to be a number, got 'fast'"):
        make([np.ones(2)], lr="fast")
    with pytest.raises(TypeError, match="expected lr to be a number, got True"):
        make([np.ones(2)], lr=True)
