from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from dlbook.scratch.dropout import dropout_backward, dropout_forward
from dlbook.scratch.layers import Dropout


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_the_share_left_out_is_p_and_the_mean_stays(p: float) -> None:
    Z, _ = dropout_forward(np.ones(100_000), p=p, rng=rng())
    assert (Z == 0).mean() == pytest.approx(p, abs=0.01)
    assert Z.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("p", [0.0, 0.3, 0.75])
def test_what_stays_has_the_values_that_pytorch_gives_it(p: float) -> None:
    X = rng().uniform(1, 2, size=(50, 40))
    ours, _ = dropout_forward(X, p=p, rng=rng())
    torch.manual_seed(0)
    theirs = torch.nn.functional.dropout(torch.tensor(X), p).numpy()
    both = (ours != 0) & (theirs != 0)
    assert both.any()
    assert_allclose(ours[both], theirs[both], rtol=1e-12)


def test_the_gradient_passes_where_the_number_passed_and_is_enlarged_alike() -> None:
    X, dZ = rng().uniform(1, 2, size=(5, 4)), rng(1).normal(size=(5, 4))
    Z, cache = dropout_forward(X, p=0.5, rng=rng())
    assert_allclose(dropout_backward(dZ, cache), np.where(Z == 0, 0, 2 * dZ), rtol=1e-12)


def test_out_of_training_nothing_changes_and_nothing_is_drawn() -> None:
    X, generator = rng().normal(size=(5, 4)), rng()
    Z, cache = dropout_forward(X, p=0.5, rng=generator, training=False)
    assert_array_equal(Z, X)
    assert_array_equal(dropout_backward(X, cache), X)
    assert generator.random() == rng().random()


def test_every_call_leaves_others_out_and_a_seed_brings_them_back() -> None:
    X, generator = np.ones(100), rng()
    first, _ = dropout_forward(X, p=0.5, rng=generator)
    second, _ = dropout_forward(X, p=0.5, rng=generator)
    assert (first != second).any()
    assert_array_equal(dropout_forward(X, p=0.5, rng=rng())[0], first)
    assert_array_equal(dropout_forward(X.astype(np.float32), p=0.5, rng=rng())[0], first)


@pytest.mark.parametrize("p", [-0.1, 1.0, np.nan])
def test_a_p_out_of_range_is_told(p: float) -> None:
    with pytest.raises(ValueError, match="expected p from 0 up and below 1, got"):
        dropout_forward(np.ones(3), p=p, rng=rng())


def test_a_seed_in_place_of_a_generator_is_told() -> None:
    seed: Any = 0
    with pytest.raises(TypeError, match="expected rng to be a Generator, got int"):
        dropout_forward(np.ones(3), rng=seed)


def test_a_layer_leaves_out_as_many_as_pytorchs_unless_told_otherwise() -> None:
    Z = Dropout(rng=rng()).forward(np.ones(100_000), training=True)
    assert (Z == 0).mean() == pytest.approx(torch.nn.Dropout().p, abs=0.01)


def test_a_layer_refuses_a_seed_when_it_is_made_and_a_gradient_that_is_not_of_its_outputs() -> None:
    seed: Any = 0
    with pytest.raises(TypeError, match="expected rng to be a Generator, got int"):
        Dropout(rng=seed)
    layer = Dropout(rng=rng())
    layer.forward(np.ones((4, 3)), training=True)
    with pytest.raises(ValueError, match=r"expected dZ of shape \(4, 3\).*, got \(2, 3\)"):
        layer.backward(np.ones((2, 3)))
