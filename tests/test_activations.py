from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from dlbook.scratch import activations
from dlbook.scratch.activations import (
    elu,
    elu_backward,
    elu_forward,
    gelu,
    gelu_backward,
    gelu_forward,
    gelu_tanh,
    gelu_tanh_backward,
    gelu_tanh_forward,
    leaky_relu,
    leaky_relu_backward,
    leaky_relu_forward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    relu_forward,
    sigmoid,
    sigmoid_backward,
    sigmoid_forward,
    silu,
    silu_backward,
    silu_forward,
    softmax,
    softmax_backward,
    softplus,
    softplus_backward,
    softplus_forward,
    tanh,
    tanh_backward,
    tanh_forward,
)
from tests.bad_input import (
    NO_FLOATS,
    NO_NUMBER,
    NOT_FROM_ZERO_UP,
    SHAPES,
    a_few_examples,
    refused,
)

FLOATS = [np.float32, np.float64]
Function = Callable[[Any], Any]


class Entrywise(NamedTuple):
    """An activation of single numbers, with SciPy's or a plain formula for it and for its slope."""

    value: Callable[..., Any]
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    formula: Function
    slope: Function


def normal_density(z: Any) -> Any:
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def tanh_argument(z: Any) -> Any:
    return np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)


def tanh_slope(z: Any) -> Any:
    return 1 / np.cosh(np.clip(z, -300, 300)) ** 2


def gelu_tanh_slope(z: Any) -> Any:
    u = tanh_argument(z)
    du = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + np.tanh(u)) + 0.5 * z * tanh_slope(u) * du


ENTRYWISE = [
    Entrywise(
        sigmoid,
        sigmoid_forward,
        sigmoid_backward,
        special.expit,
        lambda z: special.expit(z) * special.expit(-z),
    ),
    Entrywise(
        tanh,
        tanh_forward,
        tanh_backward,
        lambda z: 2 * special.expit(2 * z) - 1,
        tanh_slope,
    ),
    Entrywise(relu, relu_forward, relu_backward, lambda z: (z + abs(z)) / 2, lambda z: z > 0),
    Entrywise(
        leaky_relu,
        leaky_relu_forward,
        leaky_relu_backward,
        lambda z: np.maximum(z, 0.01 * z),
        lambda z: np.where(z > 0, 1, 0.01),
    ),
    Entrywise(
        elu,
        elu_forward,
        elu_backward,
        lambda z: np.maximum(z, 0) + np.exp(np.minimum(z, 0)) - 1,
        lambda z: np.exp(np.minimum(z, 0)),
    ),
    Entrywise(
        softplus,
        softplus_forward,
        softplus_backward,
        lambda z: np.logaddexp(0, z),
        special.expit,
    ),
    Entrywise(
        silu,
        silu_forward,
        silu_backward,
        lambda z: z * special.expit(z),
        lambda z: special.expit(z) * (1 + z * special.expit(-z)),
    ),
    Entrywise(
        gelu,
        gelu_forward,
        gelu_backward,
        lambda z: z * special.ndtr(z),
        lambda z: special.ndtr(z) + z * normal_density(z),
    ),
    Entrywise(
        gelu_tanh,
        gelu_tanh_forward,
        gelu_tanh_backward,
        lambda z: z / 2 * (1 + np.tanh(tanh_argument(z))),
        gelu_tanh_slope,
    ),
]
each_entrywise = pytest.mark.parametrize(
    "case", ENTRYWISE, ids=[case.value.__name__ for case in ENTRYWISE]
)
FAR_AND_NEAR = np.r_[np.linspace(-1e4, 1e4, 4001), np.linspace(-20, 20, 401)]


@each_entrywise
@pytest.mark.parametrize("dtype", FLOATS)
def test_values_and_slopes_are_right_and_safe_from_minus_to_plus_ten_thousand(
    case: Entrywise, dtype: Any
) -> None:
    Z = FAR_AND_NEAR.astype(dtype)
    exact = Z.astype(np.float64)
    A, cache = case.forward(Z)  # any warning is an error in this suite
    slope = case.backward(np.ones_like(Z), cache)
    assert A.dtype == slope.dtype == dtype
    rounding = np.finfo(dtype).eps
    assert_allclose(A, case.formula(exact), rtol=4 * rounding, atol=4 * rounding)
    of_gates = 64 * rounding  # where 1 − σ, which is rounded, is multiplied by z
    assert_allclose(slope, case.slope(exact), rtol=4 * rounding, atol=of_gates)
    assert_array_equal(case.value(Z), A)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("small", "expected"),
    [
        (sigmoid, special.expit),
        (silu, lambda z: z * special.expit(z)),
        (softplus, lambda z: np.log1p(np.exp(z))),
        (gelu, lambda z: z * special.ndtr(z)),
        (gelu_tanh, lambda z: z * special.expit(2 * tanh_argument(z))),
    ],
)
def test_far_below_zero_the_digits_are_kept_and_not_rounded_to_nothing(
    small: Function, expected: Function, dtype: Any
) -> None:
    Z = np.linspace(-8, -4, 41).astype(dtype)
    tenfold = 500 * np.finfo(dtype).eps  # an exponent of up to 100 multiplies rounding
    assert_allclose(small(Z), expected(Z.astype(np.float64)), rtol=tenfold)


def test_sigmoid_has_the_values_worked_by_hand_and_its_symmetry() -> None:
    Z = np.array([0.0, np.log(3.0), -np.log(3.0)])
    assert_allclose(sigmoid(Z), [0.5, 0.75, 0.25], rtol=1e-15)
    Z = np.linspace(-30, 30, 61)
    assert_allclose(sigmoid(Z) + sigmoid(-Z), 1, rtol=1e-15)


def test_sigmoid_slope_is_largest_at_zero_and_vanishes_far_out() -> None:
    A = sigmoid(np.array([-50.0, 0.0, 50.0]))
    assert_allclose(sigmoid_backward(np.ones(3), A), [0, 0.25, 0], atol=1e-20)


def test_tanh_has_the_values_worked_by_hand() -> None:
    A, cache = tanh_forward(np.array([0.0, np.log(3.0), -np.log(2.0)]))
    assert_allclose(A, [0, 8 / 10, -3 / 5], rtol=1e-15)
    assert_allclose(tanh_backward(np.array([2.0, 25.0, 25.0]), cache), [2, 9, 16], rtol=1e-14)


def test_relu_cuts_off_and_lets_nothing_back_at_or_below_zero() -> None:
    Z = np.array([-3.0, -0.0, 0.0, 1e-300, 2.0])
    assert_array_equal(relu(Z), [0, 0, 0, 1e-300, 2])
    assert_array_equal(relu_backward(np.full(5, -7.0), Z), [0, 0, 0, -7, -7])


def test_leaky_relu_and_elu_have_the_values_worked_by_hand_and_pytorchs_slope_at_zero() -> None:
    Z, upstream = np.array([-np.log(4.0), 0.0, 3.0]), np.array([8.0, 8.0, 8.0])
    A, cache = leaky_relu_forward(Z, negative_slope=0.5)
    assert_allclose(A, [-np.log(2.0), 0, 3], rtol=1e-15)
    assert_allclose(leaky_relu_backward(upstream, cache), [4, 4, 8], rtol=1e-15)
    A, cache = elu_forward(Z, alpha=2.0)
    assert_allclose(A, [-1.5, 0, 3], rtol=1e-15)
    assert_allclose(elu_backward(upstream, cache), [4, 16, 8], rtol=1e-15)
    theirs = torch.zeros(1, requires_grad=True)
    torch.nn.functional.elu(theirs, alpha=2.0).backward()  # type: ignore[no-untyped-call]
    assert theirs.grad == 2


def test_elu_keeps_the_digits_of_numbers_just_below_zero() -> None:
    assert_allclose(elu(np.array([-1e-12])), [-1e-12], rtol=1e-11)


def test_softplus_is_not_linear_above_twenty_as_pytorchs_is() -> None:
    Z = np.array([20.0 + 1e-9, 25.0, 30.0])
    assert_allclose(softplus(Z) - Z, np.exp(-Z), atol=4e-15)
    theirs = torch.nn.functional.softplus(torch.tensor(Z)).numpy()
    assert_array_equal(theirs, Z)
    assert 2.0e-9 < (softplus(Z) - theirs).max() < 2.1e-9


def test_silu_is_lowest_where_its_docstring_says() -> None:
    Z = np.linspace(-2, 0, 20_001)
    assert Z[silu(Z).argmin()] == pytest.approx(-1.278, abs=5e-4)
    assert silu(Z).min() == pytest.approx(-0.278, abs=5e-4)


def test_gelu_by_tanh_is_as_near_as_its_docstring_says_and_no_nearer() -> None:
    Z = np.linspace(-10, 10, 20_001)
    assert 4e-4 < np.abs(gelu(Z) - gelu_tanh(Z)).max() < 5e-4
    assert gelu(np.array([1.0]))[0] == pytest.approx(0.8413447460685429, rel=1e-15)


@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax_is_safe_for_huge_logits_and_agrees_with_scipy(dtype: Any) -> None:
    assert_array_equal(
        softmax(np.array([[1000, 0, 0, 0], [-1e4, 1e4, 0, 0]], dtype))[:, :2], np.eye(2)
    )
    Z = np.random.default_rng(0).normal(size=(50, 7), scale=20).astype(dtype)
    limits = np.finfo(dtype)
    assert_allclose(softmax(Z), special.softmax(Z, axis=-1), rtol=50 * limits.eps)


@pytest.mark.parametrize("dtype", FLOATS)
def test_log_softmax_is_exact_for_huge_logits_and_agrees_with_scipy(dtype: Any) -> None:
    huge = np.array([[1e4, 0, -1e4], [-1e4, -1e4, -1e4]], dtype)
    log_P = log_softmax(huge)
    assert log_P.dtype == dtype
    assert_array_equal(log_P[0], [0, -1e4, -2e4])
    assert_allclose(log_P[1], -np.log(3), rtol=4 * np.finfo(dtype).eps)
    backward = log_softmax_backward(np.array([[0, 1, 0], [0, 1, 0]], dtype), log_P)
    assert_allclose(backward, np.array([[-3.0, 3, 0], [-1, 2, -1]]) / 3, rtol=1e-6)
    Z = np.random.default_rng(0).normal(size=(50, 7), scale=20).astype(dtype)
    expected = special.log_softmax(Z.astype(np.float64), axis=-1)
    rounding = 4 * np.finfo(dtype).eps
    assert_allclose(log_softmax(Z), expected, rtol=rounding, atol=rounding)


def test_softmax_rows_sum_to_one_and_do_not_change_when_a_constant_is_added() -> None:
    Z = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert_allclose(softmax(Z).sum(axis=-1), 1, rtol=1e-15)
    assert_allclose(softmax(Z + 100), softmax(Z), rtol=1e-12)
    assert_allclose(softmax(np.log([1.0, 2.0, 5.0])), [0.125, 0.25, 0.625], rtol=1e-15)
    assert_allclose(np.exp(log_softmax(Z)), softmax(Z), rtol=1e-14)


def test_softmax_backward_is_the_product_with_its_whole_jacobian() -> None:
    rng = np.random.default_rng(0)
    P, dP = softmax(rng.normal(size=4)), rng.normal(size=4)
    jacobian = np.array([[P[i] * ((i == j) - P[j]) for j in range(4)] for i in range(4)])
    assert_allclose(softmax_backward(dP, P), jacobian.T @ dP, rtol=1e-13)


def test_log_softmax_backward_is_the_product_with_its_whole_jacobian() -> None:
    rng = np.random.default_rng(0)
    log_P, upstream = log_softmax(rng.normal(size=4)), rng.normal(size=4)
    P = np.exp(log_P)
    jacobian = np.array([[float(i == j) - P[j] for j in range(4)] for i in range(4)])
    assert_allclose(log_softmax_backward(upstream, log_P), jacobian.T @ upstream, rtol=1e-13)


VALUES = [*(case.value for case in ENTRYWISE), softmax, log_softmax]


@pytest.mark.parametrize("activation", VALUES)
def test_nan_is_passed_on_and_not_hidden(activation: Callable[[np.ndarray], np.ndarray]) -> None:
    assert np.isnan(activation(np.array([np.nan]))).all()


@pytest.mark.parametrize("activation", VALUES)
def test_every_name_can_be_imported_from_the_package(activation: Callable[..., Any]) -> None:
    for form in ("", "_forward", "_backward"):
        assert f"{activation.__name__}{form}" in activations.__all__
    assert getattr(activations, activation.__name__) is activation


@pytest.mark.parametrize("activation", VALUES)
@given(Z=NO_FLOATS)
@a_few_examples
def test_what_is_no_array_of_floats_is_refused(activation: Callable[..., Any], Z: Any) -> None:
    forward = getattr(activations, f"{activation.__name__}_forward")
    for function in (activation, forward):
        assert "Z" in refused(function, Z)


@pytest.mark.parametrize("activation", VALUES)
@given(data=st.data())
@a_few_examples
def test_an_upstream_gradient_of_another_kind_or_shape_is_refused(
    activation: Callable[..., Any], data: st.DataObject
) -> None:
    forward = getattr(activations, f"{activation.__name__}_forward")
    backward = getattr(activations, f"{activation.__name__}_backward")
    _, cache = forward(np.ones(data.draw(SHAPES.filter(len))))
    output = cache[0] if isinstance(cache, tuple) else cache
    others = SHAPES.filter(lambda shape: shape != output.shape).map(np.zeros)
    refused(backward, data.draw(st.one_of(NO_FLOATS, others)), cache)


OPTIONS: list[tuple[Callable[..., Any], str]] = [
    (leaky_relu, "negative_slope"),
    (leaky_relu_forward, "negative_slope"),
    (elu, "alpha"),
    (elu_forward, "alpha"),
]


@pytest.mark.parametrize(("function", "option"), OPTIONS)
@given(bad=st.one_of(NO_NUMBER, NOT_FROM_ZERO_UP))
@a_few_examples
def test_an_option_that_is_no_number_from_zero_up_is_refused(
    function: Callable[..., Any], option: str, bad: Any
) -> None:
    assert option in refused(function, np.ones(3), **{option: bad})


@pytest.mark.parametrize(("function", "option"), OPTIONS)
def test_an_option_from_numpy_leaves_the_dtype_as_it_is(
    function: Callable[..., Any], option: str
) -> None:
    Z = np.array([-1.0, 2.0], np.float32)
    found = function(Z, **{option: np.float64(0.3)})
    if isinstance(found, tuple):
        A, cache = found
        backward = getattr(activations, function.__name__.replace("forward", "backward"))
        assert backward(Z, cache).dtype == np.float32
    else:
        A = found
    assert A.dtype == np.float32
