from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from dlbook.data import (
    Splits,
    Standardizer,
    load_delivery,
    load_digits,
    make_blobs,
    make_moons,
    minibatches,
    one_hot,
    shared_rows,
    split,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def parts(splits: Splits) -> list[Any]:
    return [splits.train, splits.validation, splits.test]


@given(seed=st.integers(0, 2**32), n=st.integers(30, 200), k=st.integers(1, 3))
def test_a_split_is_disjoint_and_complete_and_keeps_rows_together(
    seed: int, n: int, k: int
) -> None:
    X = np.arange(n)[:, None]
    y = np.arange(n) % k
    cut = split(X, y, rng=rng(seed))
    seen = np.concatenate([part.X[:, 0] for part in parts(cut)])
    assert_array_equal(np.sort(seen), np.arange(n))
    for part in parts(cut):
        assert_array_equal(part.y, part.X[:, 0] % k)


def test_each_part_holds_each_class_in_its_proportion() -> None:
    y = rng().permutation(np.repeat([0, 1, 2], [100, 40, 333]))
    cut = split(np.zeros((len(y), 1)), y, rng=rng(), validation=0.15, test=0.25)
    for share, part in zip([0.6, 0.15, 0.25], parts(cut), strict=True):
        assert np.all(np.abs(np.bincount(part.y) - share * np.array([100, 40, 333])) <= 1)
        assert not np.all(np.diff(part.y) >= 0), "the classes come in random order"


def test_chance_decides_who_is_held_out() -> None:
    rows = np.arange(200)
    held_out = [set(split(rows, rows % 2, rng=rng(seed)).test.y) for seed in (0, 1)]
    members = [set(split(rows, rows % 2, rng=rng(seed)).test.X) for seed in (0, 0, 1)]
    assert held_out[0] == held_out[1] == {0, 1}
    assert members[0] == members[1] != members[2]


def test_without_stratification_a_split_takes_any_targets() -> None:
    Y = rng().normal(size=(10, 2))
    cut = split(Y, Y, rng=rng(), validation=0, test=0.3, stratify=False)
    assert [len(part.X) for part in parts(cut)] == [7, 0, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 0.5, "test": 0.5}, "leave some examples for training"),
        ({"test": -0.1}, "got validation = 0.1 and test = -0.1"),
        ({"test": float("nan")}, "leave some examples"),
        ({"test": 0.05}, r"8 examples .* cut into 7, 1 and 0"),
        ({"y": np.zeros((10, 1))}, r"expected classes y of shape \(n,\), got \(10, 1\)"),
        ({"y": np.zeros(9)}, "one target for each example, got 10 and 9"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "X": np.zeros((10, 1)),
        "y": np.repeat([0, 1], [8, 2]),
        "rng": rng(),
    }
    with pytest.raises(ValueError, match=message):
        split(**(arguments | options))


def test_digits_come_scaled_stratified_and_reproducible() -> None:
    digits = load_digits(rng=rng(3))
    again = load_digits(rng=rng(3))
    other = load_digits(rng=rng(4))
    assert sum(len(part.y) for part in parts(digits)) == 1797
    for part in parts(digits):
        assert part.X.dtype == np.float32
        assert part.y.dtype == np.int64
        assert (part.X.min(), part.X.max()) == (0, 1)
        assert_array_equal(np.unique(part.y), np.arange(10))
    assert_array_equal(digits.test.X, again.test.X)
    assert not np.array_equal(digits.test.y, other.test.y)


def test_digits_can_stay_images() -> None:
    rows, images = load_digits(rng=rng()), load_digits(rng=rng(), flatten=False, dtype=np.float64)
    assert images.train.X.shape == (1259, 1, 8, 8)
    assert_allclose(images.train.X.reshape(-1, 64), rows.train.X)


def test_the_two_deliveries_determine_slope_and_intercept() -> None:
    X, Y = load_delivery()
    slope, intercept = np.polyfit(X[:, 0], Y[:, 0], 1)
    assert_allclose([slope, intercept, slope * 7 + intercept], [3.4, 5.2, 29.0])
    assert load_delivery(np.float32)[0].dtype == np.float32


def test_a_line_parts_blobs_and_does_not_part_moons() -> None:
    def line_accuracy(points: tuple[Any, Any]) -> float:
        return float(LogisticRegression().fit(*points).score(*points))

    assert line_accuracy(make_blobs(400, rng=rng())) > 0.98
    assert line_accuracy(make_moons(400, rng=rng())) < 0.92


@pytest.mark.parametrize("make", [make_blobs, make_moons])
def test_points_are_balanced_and_seeded(make: Any) -> None:
    X, y = make(101, rng=rng(1), dtype=np.float64)
    assert X.shape == (101, 2)
    assert X.dtype == np.float64
    assert abs(np.diff(np.bincount(y))) == 1
    assert_array_equal(X, make(101, rng=rng(1), dtype=np.float64)[0])
    assert not np.array_equal(X, make(101, rng=rng(2))[0])
    with pytest.raises(ValueError, match="at least one point for each"):
        make(1, rng=rng())


def test_noise_and_spread_are_standard_deviations() -> None:
    X, y = make_blobs(20_000, k=1, spread=0.3, rng=rng())
    assert_allclose(X.std(axis=0), 0.3, rtol=0.02)
    assert set(y) == {0}
    X, y = make_moons(20_000, noise=0.2, rng=rng())
    radius = np.hypot(*(X - np.array([1, 0.5]) * y[:, None]).T)
    assert_allclose(radius.std(), 0.2, rtol=0.05)
    with pytest.raises(ValueError, match="got -1"):
        make_moons(10, noise=-1, rng=rng())
    with pytest.raises(ValueError, match="got -1"):
        make_blobs(10, spread=-1, rng=rng())


@given(n=st.integers(1, 50), size=st.integers(1, 60), seed=st.none() | st.integers(0, 99))
def test_an_epoch_of_minibatches_shows_each_example_once(
    n: int, size: int, seed: int | None
) -> None:
    batches = list(minibatches(n, size, rng=None if seed is None else rng(seed)))
    assert_array_equal(np.sort(np.concatenate(batches)), np.arange(n))
    assert all(len(batch) == size for batch in batches[:-1])
    if seed is None:
        assert_array_equal(np.concatenate(batches), np.arange(n))


def test_each_epoch_is_shuffled_anew() -> None:
    generator = rng()
    first, second = (np.concatenate(list(minibatches(50, 8, rng=generator))) for _ in range(2))
    assert not np.array_equal(first, second)


def test_bad_batch_sizes_are_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match="batch size of at least 1, got 0"):
        minibatches(10, 0)
    with pytest.raises(ValueError, match="got n = 0"):
        minibatches(0, 1)


def test_the_standardizer_agrees_with_scikit_learn_and_can_be_undone() -> None:
    X = rng().normal(50, 7, size=(40, 3))
    ours, theirs = Standardizer().fit(X[:30]), StandardScaler().fit(X[:30])
    assert_allclose(ours.transform(X), theirs.transform(X), rtol=1e-12)
    assert_allclose(ours.inverse(ours.transform(X)), X, rtol=1e-12)


def test_the_standardizer_knows_nothing_of_held_out_rows() -> None:
    X = rng().normal(size=(40, 3))
    train, held_out = X[:30], X[30:] + 1000
    honest = Standardizer().fit(train)
    measured = honest.mean.copy(), honest.std.copy()
    seen = honest.transform(held_out)
    assert_array_equal((honest.mean, honest.std), measured)
    assert np.all(seen > 100), "rows so far out look far out"

    leaking = Standardizer().fit(np.vstack([train, held_out]))  # the planted leak
    assert np.all(leaking.mean > honest.mean + 100)
    assert np.all(leaking.transform(held_out) < 3), "a leak makes them look ordinary"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_becomes_zero(dtype: Any) -> None:
    X = np.column_stack([np.full(30, 0.1), rng().normal(size=30)]).astype(dtype)
    scaled = Standardizer().fit(X)
    assert scaled.std[0] == 1
    assert_array_equal(scaled.transform(X)[:, 0], 0)
    assert scaled.transform(X).dtype == dtype


def test_a_large_mean_does_not_drown_the_deviation_in_float32() -> None:
    X = rng().normal(1000, 0.1, size=(5000, 1)).astype(np.float32)
    shortcut = (X**2).mean() - X.mean() ** 2  # in float32 a multiple of 1/16 near one million
    assert abs(shortcut - 0.01) > 0.005
    assert_allclose(Standardizer().fit(X).std, 0.1, rtol=0.05)


def test_the_standardizer_refuses_what_it_cannot_measure() -> None:
    with pytest.raises(ValueError, match="call fit"):
        Standardizer().transform(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="call fit"):
        Standardizer().inverse(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"of shape \(n, 2\), as in fit, got \(2, 3\)"):
        Standardizer().fit(np.zeros((2, 2))).transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"got \(0, 2\)"):
        Standardizer().fit(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        Standardizer().fit(np.array([[np.nan], [1.0]]))
    with pytest.raises(TypeError, match="got int64"):
        Standardizer().fit(np.zeros((2, 2), dtype=np.int64))  # the mistake under test


def test_one_hot_rows_hold_a_single_one_where_the_class_is() -> None:
    y = rng().integers(0, 5, size=30)
    Y = one_hot(y, 6, dtype=np.float64)
    assert_array_equal(Y, np.eye(6)[y])
    assert one_hot(y, 5).dtype == np.float32


def test_one_hot_refuses_what_is_no_class() -> None:
    with pytest.raises(ValueError, match="expected class ids from 0 to 2, got -1"):
        one_hot(np.array([0, -1]), 3)
    with pytest.raises(TypeError, match="got float64"):
        one_hot(np.zeros(2), 3)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ValueError, match=r"got \(2, 1\)"):
        one_hot(np.zeros((2, 1), dtype=int), 3)


def test_shared_rows_are_those_that_a_loop_finds() -> None:
    generator = rng()
    for shape in [(12, 2), (9, 2, 2), (8,), (0, 3)]:
        seen, held_out = (generator.integers(0, 2, size=shape) for _ in range(2))
        expected = [i for i, x in enumerate(held_out) if any((x == y).all() for y in seen)]
        for dtype in (np.int64, np.float32, bool):
            assert shared_rows(seen.astype(dtype), held_out.astype(dtype)).tolist() == expected
    assert shared_rows(np.array([[0.0, 1.0]]), np.array([[-0.0, 1.0], [0.0, 2.0]])).tolist() == [0]
    every_other = np.arange(20.0).reshape(10, 2)
    assert shared_rows(every_other[::2], every_other[::-1]).tolist() == [1, 3, 5, 7, 9]


def test_parts_that_cannot_share_a_row_are_refused() -> None:
    X = np.zeros((4, 2))
    with pytest.raises(ValueError, match=r"examples of one shape, got \(2,\) and \(3,\)"):
        shared_rows(X, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="parts of one dtype, got float64 and float32"):
        shared_rows(X, X.astype(np.float32))
