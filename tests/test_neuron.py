from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dlbook.scratch.neuron import descend

# One step on paper: at W = 0 and b = 0 the errors are -2 and -4, the loss is 10,
# dW = 2/2 (1 · -2 + 2 · -4) = -10 and db = 2/2 (-2 - 4) = -6.
X = np.array([[1.0], [2.0]])
Y = np.array([[2.0], [4.0]])


def test_a_neuron_goes_from_zero_the_step_that_is_worked_on_paper() -> None:
    path = descend(X, Y, lr=0.1, steps=1)
    assert_allclose(path.W, [[0.0], [1.0]], rtol=1e-12)
    assert_allclose(path.b, [0.0, 0.6], rtol=1e-12)
    assert_allclose(path.loss, [10.0, (0.4**2 + 1.4**2) / 2], rtol=1e-12)


def test_no_step_leaves_the_start_alone() -> None:
    path = descend(X, Y, lr=0.1, steps=0)
    assert (path.W.tolist(), path.b.tolist(), path.loss.tolist()) == ([[0.0]], [0.0], [10.0])


def test_a_path_keeps_the_dtype_of_the_examples() -> None:
    path = descend(X.astype(np.float32), Y.astype(np.float32), lr=0.1, steps=2)
    assert {path.W.dtype, path.b.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize("lr", [0.0, -0.5, float("nan")])
def test_a_rate_that_is_not_positive_is_told(lr: float) -> None:
    with pytest.raises(ValueError, match=f"learning rate must be positive, got lr={lr}"):
        descend(X, Y, lr=lr, steps=1)


def test_a_negative_number_of_steps_is_told() -> None:
    with pytest.raises(ValueError, match="number of steps cannot be negative, got steps=-1"):
        descend(X, Y, lr=0.1, steps=-1)
