"""What operations are given is checked in one place: what passes, and how the rest is told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dlbook.scratch.checks import (
    check_arrays,
    check_finite,
    check_generator,
    check_gradients,
    check_labels,
    check_number,
    check_parameters,
    check_whole,
    trusted,
)

ROW, MATRIX = np.zeros(3), np.zeros((2, 3))


def test_dots_stand_for_any_number_of_axes_none_included() -> None:
    for x in (ROW, MATRIX, np.zeros((5, 2, 3)), np.zeros((0, 3))):
        check_arrays(x=(x, "..., d"), w=(ROW, "d"))
    number: Any = np.float64(1)
    check_arrays(x=(np.zeros(()), "..."), y=(number, "..."))
    check_arrays(x=(MATRIX, "..., d"), y=(np.zeros((2, 4)), "..., e"))


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"x": (np.zeros(()), "..., d")}, r"expected x of shape \(\.\.\., d\), got \(\)$"),
        ({"x": (ROW, "..., a, b")}, r"expected x of shape \(\.\.\., a, b\), got \(3,\)$"),
        ({"x": (MATRIX, "n")}, r"expected x of shape \(n,\), got \(2, 3\)$"),
        (
            {"w": (ROW, "d"), "x": (np.zeros((2, 4)), "..., d")},
            r"expected x of shape \(\.\.\., 3\) to go with w of shape \(3,\), got \(2, 4\)$",
        ),
        (
            {"x": (MATRIX, "..., d"), "y": (ROW, "..., e")},
            r"y of shape \(2, e\) to go with x of shape \(2, 3\), got \(3,\)$",
        ),
        (
            {"w": (ROW, "d"), "v": (ROW, "e"), "x": (np.zeros(2), "d")},
            r"x of shape \(3,\) to go with w of shape \(3,\), got \(2,\)$",
        ),
        (
            {"w": (ROW, "d"), "v": (np.zeros(2), "e"), "x": (ROW, "e, d")},
            r"x of shape \(2, 3\) to go with w of shape \(3,\) and v of shape \(2,\), got \(3,\)$",
        ),
        (
            {"w": (ROW, "d"), "x": (np.zeros((3, 1)), "d")},
            r"x of shape \(3,\) to go with w of shape \(3,\), got \(3, 1\): use x\.reshape\(3,\)$",
        ),
        ({"x": (np.zeros((2, 2)), "d, e, 2")}, r"x of shape \(d, e, 2\), got \(2, 2\)$"),
    ],
)
def test_a_shape_that_does_not_fit_is_told_and_mended_only_where_the_numbers_suffice(
    named: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        check_arrays(**named)


def test_the_first_number_that_is_not_finite_is_told_with_how_many_there_are() -> None:
    X = np.array([[1.0, np.nan], [-np.inf, 2.0]])
    with pytest.raises(ValueError, match=r"got 2 that are not: the first at X\[0, 1\] is nan"):
        check_finite("X", X)
    with pytest.raises(ValueError, match=r"got 1 that is not: the first at X\[1\] is -inf"):
        check_finite("X", X[:, 0])
    check_finite("X", X[:0])
    check_finite("y", np.arange(3))


@pytest.mark.parametrize(
    ("gradients", "error", "told"),
    [
        ([ROW], ValueError, "a gradient for each of 2 parameters, got 1$"),
        ([], ValueError, "each of 2 parameters, got 0: run the backward pass first$"),
        ([ROW, MATRIX, ROW], ValueError, "each of 2 parameters, got 3$"),
        ([ROW, MATRIX.T], ValueError, r"gradients\[1\] of shape \(2, 3\) to go with parameters\[1"),
        ([ROW.astype("f"), MATRIX], TypeError, r"gradients\[0\] in float64 to go with parameters"),
        ([ROW, MATRIX.tolist()], TypeError, r"gradients\[1\] to be an array of floats, got list"),
    ],
)
def test_gradients_that_are_not_the_parameters_are_told(
    gradients: list[Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        check_gradients(gradients, [ROW, MATRIX])
    check_gradients([ROW + 1, MATRIX + 1], [ROW, MATRIX])


def test_parameters_come_back_as_they_are_and_what_cannot_change_is_told() -> None:
    found = check_parameters(w for w in (ROW, MATRIX))
    assert [id(w) for w in found] == [id(ROW), id(MATRIX)]
    fixed = np.zeros(2)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match=r"parameters\[1\] in place, got a read-only array: use"):
        check_parameters([ROW, fixed])
    with pytest.raises(TypeError, match=r"expected parameters\[1\] to hold floats, got int64"):
        check_parameters([ROW, np.arange(2)])  # type: ignore[list-item]  # on purpose
    with pytest.raises(ValueError, match="expected at least one parameter, got none"):
        check_parameters([])


@pytest.mark.parametrize(
    ("value", "bounds", "error", "told"),
    [
        (-0.5, (0,), ValueError, "expected x from 0 up and finite, got -0.5"),
        (math.inf, (0,), ValueError, "expected x from 0 up and finite, got inf"),
        (math.nan, (0,), ValueError, "expected x from 0 up and finite, got nan"),
        (1.0, (0, 1), ValueError, r"expected x from 0 up and below 1, got 1\.0"),
        (True, (0,), TypeError, "expected x to be a number, got True"),
        ("1", (0,), TypeError, "expected x to be a number, got '1'"),
        (1j, (0,), TypeError, "expected x to be a number, got 1j"),
    ],
)
def test_a_number_out_of_its_bounds_is_told(
    value: Any, bounds: tuple[float, ...], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        check_number("x", value, *bounds)
    numbers: list[Any] = [0, 0.5, np.float32(0.25), np.int64(0)]
    for right in numbers:
        check_number("x", right, *bounds)


@pytest.mark.parametrize(
    ("value", "options", "error", "told"),
    [
        (0, {}, ValueError, "expected n of at least 1, got 0"),
        (-1, {"least": 0}, ValueError, "expected n of at least 0, got -1"),
        (2.0, {}, TypeError, r"expected n to be a whole number, got 2\.0"),
        (True, {}, TypeError, "expected n to be a whole number, got True"),
    ],
)
def test_what_is_not_whole_or_too_little_is_told(
    value: Any, options: dict[str, int], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        check_whole("n", value, **options)
    numbers: list[Any] = [1, np.int32(1), np.uint8(200)]
    for right in numbers:
        check_whole("n", right, **options)


def test_a_seed_or_an_old_random_state_is_no_generator() -> None:
    for bad in (0, None, np.random.RandomState(0), np.random):
        with pytest.raises(TypeError, match=r"to be a Generator, got \w+: use np.random.default"):
            check_generator(bad)  # type: ignore[arg-type]  # on purpose
    check_generator(np.random.default_rng(0))


def test_labels_are_one_class_of_k_for_each_row() -> None:
    check_labels(np.array([0, 2]), MATRIX)
    for y, error, told in [
        ([0, 2], TypeError, r"expected y to be an array of class ids, got list: use np\.asarray"),
        (np.array([0, 3]), ValueError, "expected class ids from 0 to 2, got 3"),
        (np.array([0, -1]), ValueError, "expected class ids from 0 to 2, got -1"),
        (np.array([0.0, 1.0]), TypeError, "float64"),
        (np.array([0, 1, 2]), ValueError, "each of the 2 rows of Z, got 3"),
        (np.array([0]), ValueError, "each of the 2 rows of Z, got 1"),
    ]:
        with pytest.raises(error, match=told):
            check_labels(y, MATRIX)  # type: ignore[arg-type]  # on purpose


def test_what_is_trusted_is_not_looked_at_and_trust_ends_with_its_block() -> None:
    bad: Any = "no array"

    @trusted()
    def stops() -> None:
        check_arrays(x=(bad, "n"))
        check_labels(bad, bad)
        check_gradients(bad, bad)
        with trusted():
            pass
        check_arrays(x=(bad, "n"))
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stops()
    with pytest.raises(TypeError, match="array of floats, got str"):
        check_arrays(x=(bad, "n"))
    with pytest.raises(TypeError, match="array of class ids, got str"):
        check_labels(bad, MATRIX)
    with pytest.raises(ValueError, match="each of 0 parameters, got 8"):
        check_gradients(bad, [])
