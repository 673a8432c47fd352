"""Starting weights: PyTorch's rules, by their measured variance and their bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import init

from dlbook.scratch.initialization import he_normal, he_uniform, xavier_normal, xavier_uniform

D_IN, D_OUT = 300, 100
RULES = [
    (he_normal, lambda W: init.kaiming_normal_(W, nonlinearity="relu"), 2 / D_IN),
    (he_uniform, lambda W: init.kaiming_uniform_(W, nonlinearity="relu"), 2 / D_IN),
    (xavier_normal, init.xavier_normal_, 2 / (D_IN + D_OUT)),
    (xavier_uniform, init.xavier_uniform_, 2 / (D_IN + D_OUT)),
]
each_rule = pytest.mark.parametrize(
    ("initialize", "theirs", "variance"), RULES, ids=[rule[0].__name__ for rule in RULES]
)
# The variance of 30,000 normal numbers strays by sqrt(2 / 30,000) = 0.8 %; this is 4 times that.
SAMPLING = 0.033


@each_rule
def test_variance_is_the_stated_one_and_pytorchs(
    initialize: Callable[..., np.ndarray], theirs: Any, variance: float
) -> None:
    W = initialize(D_IN, D_OUT, rng=np.random.default_rng(0))
    torch.manual_seed(0)
    in_torch = theirs(torch.empty(D_OUT, D_IN)).numpy()  # PyTorch's layout is transposed
    assert W.var() == pytest.approx(variance, rel=SAMPLING)
    assert in_torch.var() == pytest.approx(variance, rel=SAMPLING)
    assert abs(W.mean()) < 4 * np.sqrt(variance / W.size)


@pytest.mark.parametrize(
    ("initialize", "a"),
    [(he_uniform, (6 / D_IN) ** 0.5), (xavier_uniform, (6 / (D_IN + D_OUT)) ** 0.5)],
)
def test_uniform_weights_fill_their_interval(initialize: Any, a: float) -> None:
    W = initialize(D_IN, D_OUT, rng=np.random.default_rng(0), dtype=np.float64)
    assert 0.999 * a < np.abs(W).max() < a
    assert_allclose(np.quantile(W, [0.25, 0.75]), [-a / 2, a / 2], rtol=0.05)


@pytest.mark.parametrize("initialize", [he_normal, xavier_normal])
def test_normal_weights_have_the_tails_of_a_normal_distribution(initialize: Any) -> None:
    W = initialize(D_IN, D_OUT, rng=np.random.default_rng(0), dtype=np.float64)
    beyond = np.mean(np.abs(W) > 2 * W.std())
    assert beyond == pytest.approx(0.0455, rel=0.1)


def test_he_keeps_the_signal_through_fifty_layers_of_relu() -> None:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(200, 256))
    for _ in range(50):
        A = np.maximum(A @ he_normal(256, 256, rng=rng, dtype=np.float64), 0)
    assert 0.1 < np.mean(A**2) < 10


@each_rule
def test_the_seed_decides_and_the_dtype_only_rounds(
    initialize: Callable[..., np.ndarray], theirs: Any, variance: float
) -> None:
    single = initialize(4, 3, rng=np.random.default_rng(5))
    double = initialize(4, 3, rng=np.random.default_rng(5), dtype=np.float64)
    assert double.dtype == np.float64
    np.testing.assert_array_equal(single, double.astype(np.float32), strict=True)


@each_rule
def test_what_is_no_size_or_no_generator_is_told(
    initialize: Callable[..., np.ndarray], theirs: Any, variance: float
) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="expected d_in of at least 1, got 0"):
        initialize(0, 3, rng=rng)
    with pytest.raises(TypeError, match=r"expected d_out to be a whole number, got 2\.0"):
        initialize(3, 2.0, rng=rng)
    with pytest.raises(TypeError, match="expected rng to be a Generator, got int"):
        initialize(3, 2, rng=0)
