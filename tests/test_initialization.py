"""Starting weights: PyTorch's rules, by their measured variance, their bounds and their form."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from torch.nn import init

from dlbook.scratch import initialization
from dlbook.scratch.activations import leaky_relu, relu, tanh
from dlbook.scratch.initialization import (
    calculate_gain,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from dlbook.scratch.layers import Linear
from tests.bad_input import NO_NUMBER, NOT_FROM_ZERO_UP, a_few_examples, refused

D_IN, D_OUT = 300, 100
TANH = 5 / 3


class Rule(NamedTuple):
    """A rule with its options, PyTorch's counterpart, the variance and whether it is uniform."""

    initialize: Callable[..., np.ndarray]
    theirs: Callable[[torch.Tensor], torch.Tensor]
    variance: float
    uniform: bool


RULES = {
    "he_normal": Rule(
        he_normal, partial(init.kaiming_normal_, nonlinearity="relu"), 2 / D_IN, False
    ),
    "he_uniform": Rule(
        he_uniform, partial(init.kaiming_uniform_, nonlinearity="relu"), 2 / D_IN, True
    ),
    "he_normal, leaky": Rule(
        partial(he_normal, negative_slope=0.5),
        partial(init.kaiming_normal_, a=0.5),
        2 / (1.25 * D_IN),
        False,
    ),
    "he_uniform, leaky": Rule(
        partial(he_uniform, negative_slope=0.5),
        partial(init.kaiming_uniform_, a=0.5),
        2 / (1.25 * D_IN),
        True,
    ),
    "lecun_normal": Rule(
        lecun_normal, partial(init.kaiming_normal_, nonlinearity="linear"), 1 / D_IN, False
    ),
    "lecun_uniform": Rule(
        lecun_uniform, partial(init.kaiming_uniform_, nonlinearity="linear"), 1 / D_IN, True
    ),
    "lecun_normal, gain": Rule(
        partial(lecun_normal, gain=TANH),
        partial(init.kaiming_normal_, nonlinearity="tanh"),
        TANH**2 / D_IN,
        False,
    ),
    "lecun_uniform, gain": Rule(
        partial(lecun_uniform, gain=TANH),
        partial(init.kaiming_uniform_, nonlinearity="tanh"),
        TANH**2 / D_IN,
        True,
    ),
    "xavier_normal": Rule(xavier_normal, init.xavier_normal_, 2 / (D_IN + D_OUT), False),
    "xavier_uniform": Rule(xavier_uniform, init.xavier_uniform_, 2 / (D_IN + D_OUT), True),
    "xavier_normal, gain": Rule(
        partial(xavier_normal, gain=TANH),
        partial(init.xavier_normal_, gain=TANH),
        2 * TANH**2 / (D_IN + D_OUT),
        False,
    ),
    "xavier_uniform, gain": Rule(
        partial(xavier_uniform, gain=TANH),
        partial(init.xavier_uniform_, gain=TANH),
        2 * TANH**2 / (D_IN + D_OUT),
        True,
    ),
    "normal": Rule(
        partial(normal, std=0.3), partial(init.normal_, mean=0.0, std=0.3), 0.3**2, False
    ),
}
each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
PLAIN = [
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    xavier_normal,
    xavier_uniform,
    normal,
    zeros,
]


def sampling_error(rule: Rule) -> float:
    """Four standard deviations of the variance of n numbers, relative to it.

    That is 4 √((κ − 1) / n), where κ is the fourth moment: 3 if normal, 9/5 if uniform.
    """
    return 4 * math.sqrt(((9 / 5 if rule.uniform else 3) - 1) / (D_IN * D_OUT))


@each_rule
def test_variance_is_the_stated_one_and_pytorchs(rule: Rule) -> None:
    W = rule.initialize(D_IN, D_OUT, rng=np.random.default_rng(0))
    torch.manual_seed(0)
    in_torch = rule.theirs(torch.empty(D_OUT, D_IN)).numpy()  # PyTorch's layout is transposed
    assert sampling_error(rule) < 0.034
    assert W.var() == pytest.approx(rule.variance, rel=sampling_error(rule))
    assert in_torch.var() == pytest.approx(rule.variance, rel=sampling_error(rule))
    assert abs(W.mean()) < 4 * np.sqrt(rule.variance / W.size)


@each_rule
def test_weights_have_the_distribution_that_is_stated_and_no_other(rule: Rule) -> None:
    W = rule.initialize(D_IN, D_OUT, rng=np.random.default_rng(0), dtype=np.float64).ravel()
    std = np.sqrt(rule.variance)
    a = np.sqrt(3) * std
    stated, other = stats.uniform(-a, 2 * a).cdf, stats.norm(0, std).cdf
    if not rule.uniform:
        stated, other = other, stated
    assert stats.kstest(W, stated).pvalue > 1e-3
    assert stats.kstest(W, other).pvalue < 1e-9
    assert stats.kstest(1.05 * W, stated).pvalue < 1e-3, "five percent wider would be seen"


@each_rule
def test_uniform_weights_fill_their_interval_and_normal_ones_go_beyond(rule: Rule) -> None:
    W = rule.initialize(D_IN, D_OUT, rng=np.random.default_rng(0), dtype=np.float64)
    a = np.sqrt(3 * rule.variance)
    largest = np.abs(W).max()
    assert 0.999 * a < largest < a if rule.uniform else largest > 2 * a


def test_lecun_with_the_gain_of_relu_is_he() -> None:
    for lecun, he in ((lecun_normal, he_normal), (lecun_uniform, he_uniform)):
        by_gain = lecun(
            4, 3, rng=np.random.default_rng(5), gain=calculate_gain("relu"), dtype=np.float64
        )
        assert_allclose(
            by_gain, he(4, 3, rng=np.random.default_rng(5), dtype=np.float64), rtol=1e-14
        )


def test_linear_of_pytorch_starts_with_a_gain_of_one_over_the_root_of_three() -> None:
    theirs = torch.nn.Linear(D_IN, D_OUT).weight.detach().numpy()
    W = lecun_uniform(D_IN, D_OUT, rng=np.random.default_rng(0), gain=(1 / 3) ** 0.5)
    assert np.abs(theirs).max() == pytest.approx(np.abs(W).max(), rel=1e-3)
    assert np.abs(W).max() == pytest.approx(D_IN**-0.5, rel=1e-3)


@pytest.mark.parametrize("activation", ["linear", "sigmoid", "tanh", "relu", "leaky_relu"])
def test_gains_are_pytorchs(activation: Any) -> None:
    assert calculate_gain(activation) == pytest.approx(init.calculate_gain(activation), rel=1e-15)
    assert calculate_gain("leaky_relu", negative_slope=0.3) == pytest.approx(
        init.calculate_gain("leaky_relu", 0.3), rel=1e-15
    )


@pytest.mark.parametrize(
    ("activation", "initialize"),
    [
        (relu, he_normal),
        (relu, he_uniform),
        (partial(leaky_relu, negative_slope=0.5), partial(he_normal, negative_slope=0.5)),
        (tanh, partial(lecun_normal, gain=TANH)),
        (lambda Z: Z, lecun_normal),
        (lambda Z: Z, xavier_uniform),
    ],
)
def test_the_signal_is_kept_through_fifty_layers(activation: Any, initialize: Any) -> None:
    rng = np.random.default_rng(0)
    A: Any = rng.normal(size=(100, 256))
    for _ in range(50):
        A = activation(A @ initialize(256, 256, rng=rng, dtype=np.float64))
    assert 0.1 < np.mean(A**2) < 10


@pytest.mark.parametrize("initialize", [lecun_normal, xavier_normal])
def test_without_the_gain_of_relu_the_signal_is_lost_in_fifty_layers(initialize: Any) -> None:
    rng = np.random.default_rng(0)
    A: Any = rng.normal(size=(100, 256))
    for _ in range(50):
        A = relu(A @ initialize(256, 256, rng=rng, dtype=np.float64))
    assert np.mean(A**2) < 1e-12


def test_zeros_serve_a_layer_as_any_rule_does() -> None:
    layer = Linear(3, 4, rng=np.random.default_rng(0), initialization=zeros)
    assert_array_equal(layer.W, np.zeros((3, 4), np.float32), strict=True)


@each_rule
def test_the_seed_decides_and_the_dtype_only_rounds(rule: Rule) -> None:
    single = rule.initialize(4, 3, rng=np.random.default_rng(5))
    double = rule.initialize(4, 3, rng=np.random.default_rng(5), dtype=np.float64)
    assert double.dtype == np.float64
    assert_array_equal(single, double.astype(np.float32), strict=True)


@pytest.mark.parametrize("initialize", PLAIN)
def test_what_is_no_size_no_generator_or_no_dtype_is_told(
    initialize: Callable[..., np.ndarray],
) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="expected d_in of at least 1, got 0"):
        initialize(0, 3, rng=rng)
    with pytest.raises(TypeError, match=r"expected d_out to be a whole number, got 2\.0"):
        initialize(3, 2.0, rng=rng)
    with pytest.raises(TypeError, match="expected rng to be a Generator, got int"):
        initialize(3, 2, rng=0)
    for dtype in (int, "complex64", "no dtype", None):
        with pytest.raises(TypeError, match="expected a dtype of floats, got"):
            initialize(3, 2, rng=rng, dtype=dtype)


@pytest.mark.parametrize("initialize", PLAIN)
@given(bad=st.one_of(NO_NUMBER, st.integers(max_value=0), st.floats()))
@a_few_examples
def test_bad_sizes_are_refused_before_anything_is_drawn(initialize: Any, bad: Any) -> None:
    rng = np.random.default_rng(0)
    assert "d_in" in refused(initialize, bad, 3, rng=rng)
    assert "d_out" in refused(initialize, 3, bad, rng=rng)
    assert "rng" in refused(initialize, 3, 3, rng=bad)
    assert rng.random() == np.random.default_rng(0).random()


OPTIONS: list[tuple[Callable[..., Any], str]] = [
    (he_normal, "negative_slope"),
    (he_uniform, "negative_slope"),
    (lecun_normal, "gain"),
    (lecun_uniform, "gain"),
    (xavier_normal, "gain"),
    (xavier_uniform, "gain"),
    (normal, "std"),
]


@pytest.mark.parametrize(("initialize", "option"), OPTIONS)
@given(bad=st.one_of(NO_NUMBER, NOT_FROM_ZERO_UP))
@a_few_examples
def test_an_option_that_is_no_number_from_zero_up_is_refused(
    initialize: Any, option: str, bad: Any
) -> None:
    assert option in refused(initialize, 3, 2, rng=np.random.default_rng(0), **{option: bad})


@pytest.mark.parametrize("initialize", [lecun_normal, lecun_uniform, xavier_normal, xavier_uniform])
def test_a_gain_below_one_shrinks_the_weights(initialize: Any) -> None:
    plain, half = (initialize(4, 3, gain=g, rng=np.random.default_rng(0)) for g in (1.0, 0.5))
    np.testing.assert_array_equal(half, plain / 2)


@given(bad=st.one_of(st.none(), st.text(), st.integers(), st.just([])))
@a_few_examples
def test_a_gain_of_something_unknown_is_refused(bad: Any) -> None:
    assert "linear, sigmoid, tanh, relu, leaky_relu" in refused(calculate_gain, bad)


@given(bad=st.one_of(NO_NUMBER, NOT_FROM_ZERO_UP))
@a_few_examples
def test_a_slope_that_is_no_number_from_zero_up_is_refused(bad: Any) -> None:
    assert "negative_slope" in refused(calculate_gain, "leaky_relu", negative_slope=bad)


def test_every_rule_can_be_imported_from_the_package() -> None:
    names = {"calculate_gain", *(rule.__name__ for rule in PLAIN)}
    assert set(initialization.__all__) == names


def test_a_normal_start_is_a_hundred_times_narrower_than_pytorchs_unless_told_otherwise() -> None:
    torch.manual_seed(0)
    theirs = init.normal_(torch.empty(D_OUT, D_IN)).numpy()
    W = normal(D_IN, D_OUT, rng=np.random.default_rng(0))
    assert W.std() == pytest.approx(theirs.std() / 100, rel=0.02)


@pytest.mark.parametrize(("initialize", "option"), OPTIONS)
def test_an_option_barely_below_zero_is_told_by_its_name(initialize: Any, option: str) -> None:
    with pytest.raises(ValueError, match=f"expected {option} from 0 up and finite, got -0.5"):
        initialize(3, 2, rng=np.random.default_rng(0), **{option: -0.5})


def test_a_slope_barely_below_zero_has_no_gain() -> None:
    with pytest.raises(ValueError, match=r"expected negative_slope from 0 up .*, got -0\.5"):
        calculate_gain("leaky_relu", negative_slope=-0.5)
