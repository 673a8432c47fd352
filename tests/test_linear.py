from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dlbook.scratch.linear import (
    linear_backward,
    linear_forward,
    linear_input_gradient,
    linear_parameter_gradients,
)

# Two examples, three inputs, two outputs; worked on paper.
X = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]])
W = np.array([[1.0, 0.0], [2.0, -1.0], [0.0, 1.0]])
b = np.array([0.5, -0.5])
UPSTREAM = np.array([[1.0, 2.0], [-1.0, 3.0]])


def test_forward_is_the_sum_worked_on_paper() -> None:
    Z, _ = linear_forward(X, W, b)
    assert_array_equal(Z, [[5.5, 0.5], [-1.5, 1.5]])


def test_backward_is_what_is_worked_on_paper() -> None:
    dX, dW, db = linear_backward(UPSTREAM, linear_forward(X, W, b)[1])
    assert_array_equal(dX, [[1, 0, 2], [-1, -5, 3]])
    assert_array_equal(dW, [[1, 2], [3, 1], [2, 9]])
    assert_array_equal(db, [0, 5])


def test_the_bias_gradient_is_the_sum_over_the_batch_and_not_its_mean() -> None:
    repeated = linear_backward(
        np.tile(UPSTREAM, (3, 1)), linear_forward(np.tile(X, (3, 1)), W, b)[1]
    )
    once = linear_backward(UPSTREAM, linear_forward(X, W, b)[1])
    assert_array_equal(repeated[2], 3 * once[2])
    assert_array_equal(repeated[1], 3 * once[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[0], W, b), r"expected X of shape (n, 3) to go with W of shape (3, 2), got (3,)"),
        ((X.T, W, b), r"expected X of shape (n, 3) to go with W of shape (3, 2), got (3, 2)"),
        ((X, W[0], b), r"expected W of shape (d_in, d_out), got (2,)"),
        ((X, W, b[:, None]), r"expected b of shape (2,) to go with W of shape (3, 2), got (2, 1)"),
        ((X, W, b[:, None]), r": use b.reshape(2,)"),
    ],
)
def test_a_shape_that_does_not_fit_is_told_with_its_remedy(
    arguments: tuple[np.ndarray, ...], message: str
) -> None:
    with pytest.raises(ValueError, match="expected") as told:
        linear_forward(*arguments)
    assert message in str(told.value)


def test_what_is_not_an_array_of_floats_of_one_dtype_is_told_with_its_remedy() -> None:
    with pytest.raises(TypeError, match=r"expected X to hold floats, got int64: use X\.astype"):
        linear_forward(X.astype(np.int64), W, b)
    told = r"expected X in float64 to go with W, got float32: use X\.astype\(np\.float64\)"
    with pytest.raises(TypeError, match=told):
        linear_forward(X.astype(np.float32), W, b)
    with pytest.raises(TypeError, match=r"expected b to be an array of floats, got list: use np"):
        linear_forward(X, W, [0.5, -0.5])  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    "backward", [linear_backward, linear_input_gradient, linear_parameter_gradients]
)
def test_every_backward_pass_refuses_a_gradient_that_is_not_of_its_outputs(backward: Any) -> None:
    cache = linear_forward(X, W, b)[1]
    for bad in (UPSTREAM[:1], UPSTREAM[:, :1], UPSTREAM[0]):
        with pytest.raises(ValueError, match=r"expected dZ of shape \(2, 2\).*got"):
            backward(bad, cache)
