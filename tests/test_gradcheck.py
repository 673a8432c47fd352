"""The gradient check itself: it passes what is right and tells what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlbook.scratch.activations import softmax_backward, softmax_forward
from dlbook.scratch.gradcheck import GradientError, directional_derivative, gradcheck
from dlbook.scratch.linear import linear_backward, linear_forward
from dlbook.scratch.losses import (
    cross_entropy_backward,
    cross_entropy_forward,
    mse_backward,
    mse_forward,
)

RNG = np.random.default_rng(0)
X, W, b = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3)), RNG.normal(size=3)
Z, Y = RNG.normal(size=(2, 5, 2))


def check(forward: Any, backward: Any, *arguments: Any, **options: Any) -> float:
    return gradcheck(forward, backward, *arguments, rng=np.random.default_rng(1), **options)


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda t: math.exp(3 * t), 3.0),
        (lambda t: math.sin(5 * t + 1), 5 * math.cos(1)),
        (lambda t: math.tanh(t / 1000), 1e-3),
        (lambda t: 1e6 + math.log(2 + t), 0.5),
        (lambda t: 7.0 * t, 7.0),
        (lambda t: abs(t - 0.003) + t, 0.0),
        (lambda t: math.sqrt(1e-4 + t) if t > -1e-4 else 0.0, 50.0),
    ],
    ids=["exp", "sin", "flat", "on a large constant", "line", "kink at 0.003", "steep"],
)
def test_the_chosen_step_gives_the_slope_of(f: Callable[[float], float], slope: float) -> None:
    assert directional_derivative(f) == pytest.approx(slope, rel=1e-7, abs=1e-9)


def test_no_single_step_would_do_for_all_of_them() -> None:
    def central(f: Callable[[float], float], h: float) -> float:
        return (f(h) - f(-h)) / (2 * h)

    curved = [abs(central(lambda t: math.sin(50 * t), h) / 50 - 1) for h in (1e-2, 1e-6)]
    rounded = [abs(central(lambda t: 1e4 + math.exp(t), h) - 1) for h in (1e-2, 1e-6)]
    assert curved[0] > 1e-2 > curved[1]
    assert rounded[1] > 1e-7
    assert directional_derivative(lambda t: math.sin(50 * t)) == pytest.approx(50, rel=1e-9)


def test_what_is_right_passes_with_digits_to_spare() -> None:
    assert check(linear_forward, linear_backward, X, W, b) < 1e-9
    assert check(mse_forward, mse_backward, Z, Y) < 1e-9


def without_mean(cache: Any) -> Any:
    return 2 * cache


def without_two(cache: Any) -> Any:
    return cache / cache.size


def wrong_sign(cache: Any) -> Any:
    return -mse_backward(cache)


@pytest.mark.parametrize(
    ("backward", "quotient"),
    [(without_mean, "10"), (without_two, "0.5"), (wrong_sign, "-1")],
)
def test_a_lost_factor_is_told_by_the_quotient(backward: Any, quotient: str) -> None:
    told = (
        rf"respect to Z is wrong.*relative error .*allowed 1.0e-07\. Their quotient is {quotient}:"
    )
    with pytest.raises(GradientError, match=told):
        check(mse_forward, backward, Z, Y)


def test_a_transposed_gradient_is_told_even_if_the_matrix_is_square() -> None:
    def transposed(dZ: Any, cache: Any) -> Any:
        dX, dW, db = linear_backward(dZ, cache)
        return dX, dW.T, db

    with pytest.raises(GradientError, match="respect to W is wrong"):
        check(linear_forward, transposed, X, W, b)
    with pytest.raises(
        GradientError, match=r"respect to W to have its shape \(3, 2\), got \(2, 3\)"
    ):
        check(linear_forward, transposed, X, W[:, :2], b[:2])


def test_a_gradient_that_is_wrong_in_one_entry_or_not_a_number_is_told() -> None:
    def wrong_entry(dZ: Any, cache: Any) -> Any:
        dX, dW, db = linear_backward(dZ, cache)
        dX[2, 1] *= 1.001
        return dX, dW, db

    def not_a_number(dZ: Any, cache: Any) -> Any:
        dX, dW, db = linear_backward(dZ, cache)
        return dX, dW, db * np.nan

    with pytest.raises(GradientError, match="respect to X is wrong"):
        check(linear_forward, wrong_entry, X, W, b)
    with pytest.raises(GradientError, match="respect to b is wrong"):
        check(linear_forward, not_a_number, X, W, b)


def test_a_softmax_jacobian_without_its_other_columns_is_told() -> None:
    def diagonal_only(dP: Any, P: Any) -> Any:
        return dP * P * (1 - P)

    assert check(softmax_forward, softmax_backward, Z) < 1e-9
    with pytest.raises(GradientError, match=r"respect to Z is wrong.* 10 are wrong, most at Z\["):
        check(softmax_forward, diagonal_only, Z)
    ones = np.ones_like(Z)
    summed = softmax_backward(ones, softmax_forward(Z)[0])
    assert np.abs(summed).max() < 1e-15, "to sum the outputs would test nothing"


def test_entry_by_entry_what_is_right_passes() -> None:
    assert check(linear_forward, linear_backward, X, W, b, entrywise=True) < 1e-8
    assert check(softmax_forward, softmax_backward, Z, entrywise=True) < 1e-8
    assert check(mse_forward, mse_backward, Z, Y, entrywise=True) < 1e-8
    few = np.array([0, 2, 1, 1, 0])
    assert check(cross_entropy_forward, cross_entropy_backward, X[[0, 1, 2, 3, 0]], few) < 1e-8


def test_the_wrong_entry_is_named_with_both_its_values() -> None:
    def wrong_entry(dZ: Any, cache: Any) -> Any:
        dX, dW, db = linear_backward(dZ, cache)
        dX[2, 1] += 0.125
        return dX, dW, db

    _, cache = linear_forward(X, W, b)
    right = linear_backward(np.random.default_rng(1).normal(size=(4, 3)), cache)[0][2, 1]
    told = (
        r"Of 12 entries 1 is wrong, most at X\[2, 1\]: (\S+) by the backward pass, (\S+) by finite"
    )
    for entrywise in (False, True):
        with pytest.raises(GradientError) as error:
            check(linear_forward, wrong_entry, X, W, b, entrywise=entrywise)
        both = re.search(told, str(error.value))
        assert both is not None, error.value
        assert float(both[1]) == pytest.approx(right + 0.125, rel=1e-7)
        assert float(both[2]) == pytest.approx(right, rel=1e-7)


def test_of_many_wrong_entries_the_worst_is_named() -> None:
    def forgets_rows(dZ: Any, cache: Any) -> Any:
        dX, dW, db = linear_backward(dZ, cache)
        dW[1:] += [[1], [2]]
        dW[1, 2] = np.nan
        return dX, dW, db

    with pytest.raises(GradientError, match=r"Of 9 entries 6 are wrong, most at W\[1, 2\]: nan by"):
        check(linear_forward, forgets_rows, X, W, b)


def test_an_infinite_gradient_is_told_where_it_stands() -> None:
    def overflows(cache: Any) -> Any:
        dZ = mse_backward(cache)
        dZ[3, 0] = np.inf
        return dZ

    with pytest.raises(GradientError, match=r"Of 10 entries 1 is wrong, most at Z\[3, 0\]: inf by"):
        check(mse_forward, overflows, Z, Y)


def test_an_error_at_right_angles_to_the_direction_is_told_entry_by_entry_alone() -> None:
    draws = np.random.default_rng(1)
    draws.normal(size=(4, 3))  # the upstream gradient
    V = draws.normal(size=(4, 3))  # the direction for X
    E = np.zeros_like(V)
    E[0, 0], E[3, 2] = V[3, 2], -V[0, 0]

    def crafted(dZ: Any, cache: Any) -> Any:
        dX, dW, db = linear_backward(dZ, cache)
        return dX + E, dW, db

    assert check(linear_forward, crafted, X, W, b) < 1e-9
    with pytest.raises(
        GradientError, match=r"they do not\. Of 12 entries 2 are wrong, most at X\[(0, 0|3, 2)\]"
    ):
        check(linear_forward, crafted, X, W, b, entrywise=True)


def test_of_very_many_entries_some_are_looked_at_unless_all_are_asked_for() -> None:
    A = RNG.normal(size=(40, 30))

    def doubled(cache: Any) -> Any:
        return 2 * mse_backward(cache)

    with pytest.raises(
        GradientError, match="Of 1000 entries that were looked at, of 1200, 1000 are"
    ):
        check(mse_forward, doubled, A, A + 1)
    with pytest.raises(GradientError, match="Of 1200 entries 1200 are wrong"):
        check(mse_forward, doubled, A, A + 1, entrywise=True)


def test_the_tolerance_is_the_callers() -> None:
    def nearly(cache: Any) -> Any:
        return mse_backward(cache) * (1 + 1e-5)

    assert check(mse_forward, nearly, Z, Y, tolerance=1e-4) == pytest.approx(1e-5, rel=1e-3)
    with pytest.raises(GradientError, match=r"relative error 1\.0e-05, allowed 1\.0e-06"):
        check(mse_forward, nearly, Z, Y, tolerance=1e-6)


def test_an_error_of_one_in_ten_million_is_the_largest_allowed_unless_told_otherwise() -> None:
    def off(share: float) -> Any:
        return lambda cache: mse_backward(cache) * (1 + share)

    assert check(mse_forward, off(5e-8), Z, Y) == pytest.approx(5e-8, rel=1e-2)
    with pytest.raises(GradientError, match=r"relative error 2\.0e-07, allowed 1\.0e-07"):
        check(mse_forward, off(2e-7), Z, Y)


def test_a_tiny_gradient_must_be_right_too_and_none_at_all_is_right_where_nothing_depends() -> None:
    def tiny(Z: Any, Y: Any) -> Any:
        loss, cache = mse_forward(Z, Y)
        return 1e-8 * loss, cache

    with pytest.raises(GradientError, match="Their quotient is 2"):
        check(tiny, lambda cache: 2e-8 * mse_backward(cache), Z, Y)
    for entrywise in (False, True):
        assert check(lambda Z: (1.5, Z), np.zeros_like, Z, entrywise=entrywise) == 0
    with pytest.raises(GradientError, match=r"quotient is infinite: .* 10 are wrong"):
        check(lambda Z: (1.5, Z), np.ones_like, Z)


def test_the_error_returned_is_the_largest_of_all_arguments_and_of_all_entries() -> None:
    def nearly(dZ: Any, cache: Any) -> Any:
        dX, dW, db = linear_backward(dZ, cache)
        return dX, dW * (1 + 5e-8), db

    assert check(linear_forward, nearly, X, W, b) == pytest.approx(5e-8, rel=1e-2)

    def one_entry(cache: Any) -> Any:
        dZ = mse_backward(cache)
        dZ[0, 0] += 5e-8 * np.abs(dZ).max()
        return dZ

    along = check(mse_forward, one_entry, Z, Y)
    each = check(mse_forward, one_entry, Z, Y, entrywise=True)
    assert each == pytest.approx(max(along, 5e-8), rel=1e-2)


def test_errors_that_are_too_small_in_each_entry_and_add_up_are_told_as_such() -> None:
    V = np.random.default_rng(1).normal(size=Z.shape)  # the direction

    def spread(cache: Any) -> Any:
        dZ = mse_backward(cache)
        return dZ + 9e-8 * np.abs(dZ).max() * np.sign(V)

    with pytest.raises(GradientError, match="Of 10 entries none is wrong by itself"):
        check(mse_forward, spread, Z, Y)


def test_an_entry_is_wrong_in_proportion_to_the_largest_however_small_all_are() -> None:
    def small(Z: Any, Y: Any) -> Any:
        loss, cache = mse_forward(Z, Y)
        return 1e-3 * loss, cache

    with pytest.raises(GradientError, match=r"Of 10 entries \d+ are wrong, most at Z"):
        check(small, lambda cache: 1e-3 * (1 + 1e-5) * mse_backward(cache), Z, Y)


def test_no_entry_is_no_error() -> None:
    empty = np.zeros((0, 3))
    right = check(linear_forward, linear_backward, empty, W, b, entrywise=True)
    assert right == 0, "an empty batch changes nothing"


def test_a_gradient_without_any_number_is_told_at_its_first_entry() -> None:
    with pytest.raises(GradientError, match=r"Of 10 entries 10 are wrong, most at Z\[0, 0\]: nan"):
        check(mse_forward, lambda cache: mse_backward(cache) * np.nan, Z, Y)


def test_the_same_generator_gives_the_same_error() -> None:
    assert check(linear_forward, linear_backward, X, W, b) == check(
        linear_forward, linear_backward, X, W, b
    )


def test_arguments_without_a_name_are_told_by_their_place() -> None:
    def forward(*arguments: Any) -> Any:
        return linear_forward(*arguments)

    def wrong(dZ: Any, cache: Any) -> Any:
        dX, dW, db = linear_backward(dZ, cache)
        return dX, dW, 2 * db

    with pytest.raises(GradientError, match="respect to argument 2 is wrong"):
        check(forward, wrong, X, W, b)


def test_what_cannot_be_checked_is_refused() -> None:
    def also_for_y(cache: Any) -> Any:
        return cross_entropy_backward(cache), cache[1]

    with pytest.raises(TypeError, match="expected X as an array of float64, got float32"):
        check(linear_forward, linear_backward, *(a.astype(np.float32) for a in (X, W, b)))
    with pytest.raises(TypeError, match="expected y as an array of float64, got int64"):
        check(cross_entropy_forward, also_for_y, Z, np.zeros(5, dtype=int))
    with pytest.raises(TypeError, match="expected rng to be a Generator, got int"):
        gradcheck(mse_forward, mse_backward, Z, Y, rng=0)  # type: ignore[arg-type]  # on purpose
