from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from dlbook.metrics import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    predicted_classes,
    reliability_curve,
    top_k_accuracy,
)


def test_accuracy_and_confusion_matrix_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, 7, size=(2, 200))
    assert accuracy(predicted, y) == reference.accuracy_score(y, predicted)
    assert_array_equal(
        confusion_matrix(predicted, y, 8), reference.confusion_matrix(y, predicted, labels=range(8))
    )


def test_one_logit_is_cut_where_its_probability_is_one_half() -> None:
    Z = np.array([-2.0, -1e-9, 0.0, 1e-9, 3.0])
    assert_array_equal(predicted_classes(Z), [0, 0, 0, 1, 1])
    assert_array_equal(predicted_classes(Z[:, None]), [0, 0, 0, 1, 1])


def test_several_logits_give_the_class_of_the_largest() -> None:
    assert_array_equal(predicted_classes(np.array([[5.0, 7, 12], [3, 2, 1]])), [2, 0])


def test_labels_of_another_shape_are_refused_before_they_broadcast() -> None:
    y = np.zeros(4, dtype=int)
    with pytest.raises(ValueError, match=r"got \(4,\) and \(4, 1\)"):
        accuracy(y, y[:, None])
    with pytest.raises(ValueError, match=r"got \(4, 1\) and \(4, 1\)"):
        accuracy(y[:, None], y[:, None])
    with pytest.raises(ValueError, match="n >= 1"):
        accuracy(y[:0], y[:0])
    with pytest.raises(ValueError, match=r"got \(2, 2, 2\)"):
        predicted_classes(np.zeros((2, 2, 2)))


def test_logits_in_place_of_classes_are_refused() -> None:
    y = np.zeros(4, dtype=int)
    with pytest.raises(TypeError, match="got float64; predicted_classes turns"):
        accuracy(np.zeros(4), y)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_class_out_of_range_is_refused_and_named(wrong: int) -> None:
    y, other = np.array([0, 1, 2]), np.array([0, wrong, 2])
    with pytest.raises(ValueError, match=f"expected class ids from 0 to 2, got {wrong}"):
        confusion_matrix(other, y, 3)
    with pytest.raises(ValueError, match=f"expected class ids from 0 to 2, got {wrong}"):
        confusion_matrix(y, other, 3)


@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_top_k_accuracy_agrees_with_scikit_learn(k: int) -> None:
    rng = np.random.default_rng(k)
    scores, y = rng.normal(size=(300, 7)), rng.integers(0, 7, size=300)
    theirs = reference.top_k_accuracy_score(y, scores, k=k, labels=range(7))
    assert top_k_accuracy(scores, y, k) == pytest.approx(theirs, rel=1e-14)
    assert top_k_accuracy(scores.astype("f4"), y, k) == pytest.approx(theirs, rel=1e-14)


def test_one_guess_is_accuracy_and_as_many_as_classes_are_always_right() -> None:
    rng = np.random.default_rng(0)
    scores, y = rng.integers(0, 3, size=(200, 5)).astype(float), rng.integers(0, 5, size=200)
    assert top_k_accuracy(scores, y, 1) == accuracy(predicted_classes(scores), y), "ties too"
    assert top_k_accuracy(scores, y, 5) == 1
    shares = [top_k_accuracy(scores, y, k) for k in range(1, 6)]
    assert shares == sorted(shares)


def test_of_equal_scores_the_first_class_comes_first_and_in_scikit_learn_the_last() -> None:
    scores, classes = np.zeros((4, 4)), np.arange(4)
    ours = [top_k_accuracy(scores[:1], classes[c : c + 1], 2) for c in classes]
    assert ours == [1, 1, 0, 0]
    theirs = [
        reference.top_k_accuracy_score(classes[c : c + 1], scores[:1], k=2, labels=classes)
        for c in classes
    ]
    assert theirs == [0, 0, 1, 1]


def test_scores_without_bound_have_their_rank() -> None:
    scores = np.array([[np.inf, 0.0, -np.inf]])
    assert [top_k_accuracy(scores, np.array([c]), 2) for c in range(3)] == [1, 1, 0]


FIVE = np.array([[0.95, 0.05], [0.9, 0.1], [0.7, 0.3], [0.35, 0.65], [0.45, 0.55]])


def test_the_calibration_error_is_the_one_worked_by_hand() -> None:
    """Two bins of the width 1/4 hold examples.

    From 0.5 to 0.75: 0.7 right, 0.65 right, 0.55 wrong; 2/3 right at a mean of 1.9/3.
    Above 0.75: 0.95 right, 0.9 wrong; 1/2 right at a mean of 0.925.
    """
    y = np.array([0, 1, 0, 1, 0])
    by_hand = 3 / 5 * (2 / 3 - 1.9 / 3) + 2 / 5 * (0.925 - 1 / 2)
    assert expected_calibration_error(FIVE, y, bins=4) == pytest.approx(by_hand, rel=1e-12)
    confidence, right, count = reliability_curve(FIVE, y, bins=4)
    assert_allclose(confidence, [np.nan, np.nan, 1.9 / 3, 0.925])
    assert_allclose(right, [np.nan, np.nan, 2 / 3, 1 / 2])
    assert_array_equal(count, [0, 0, 3, 2])


@pytest.mark.parametrize("bins", [1, 2, 10, 15, 40])
@pytest.mark.parametrize("classes", [2, 6])
def test_the_curve_agrees_with_scikit_learn_where_there_are_examples(
    bins: int, classes: int
) -> None:
    rng = np.random.default_rng(bins)
    P = rng.dirichlet(np.full(classes, 0.3), size=500)
    y = np.where(rng.random(500) < 0.6, P.argmax(axis=1), rng.integers(0, classes, size=500))
    right, sure = P.argmax(axis=1) == y, P.max(axis=1)
    their_right, their_sure = calibration_curve(right, sure, n_bins=bins)
    their_count, _ = np.histogram(sure, np.linspace(0, 1, bins + 1))
    confidence, accuracies, count = reliability_curve(P, y, bins)
    filled = count > 0
    assert_array_equal(count, their_count)
    assert_allclose(confidence[filled], their_sure, rtol=1e-12)
    assert_allclose(accuracies[filled], their_right, rtol=1e-12)
    weights = their_count[their_count > 0] / 500
    theirs = (weights * np.abs(their_right - their_sure)).sum()
    assert expected_calibration_error(P, y, bins) == pytest.approx(theirs, rel=1e-12)


def test_an_edge_belongs_to_the_bin_below_it_as_in_scikit_learn() -> None:
    P, y = np.array([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]]), np.array([0, 1, 0])
    _, _, count = reliability_curve(P, y, bins=4)
    assert_array_equal(count, [0, 1, 1, 1])
    right, sure = calibration_curve([True, False, True], P[:, 0], n_bins=4)
    assert_array_equal(sure, [0.5, 0.75, 1.0])
    assert_array_equal(right, [1, 0, 1])


def test_a_classifier_that_is_right_as_often_as_it_says_has_no_error() -> None:
    P = np.tile([0.75, 0.25], (4, 1))
    assert expected_calibration_error(P, np.array([0, 0, 1, 0])) == 0
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0
    assert expected_calibration_error(np.eye(3), np.array([1, 2, 0])) == 1


def test_probabilities_in_half_precision_are_taken() -> None:
    rng = np.random.default_rng(0)
    P, y = rng.dirichlet(np.ones(10), size=100), rng.integers(0, 10, size=100)
    half = expected_calibration_error(P.astype(np.float16), y)
    assert half == pytest.approx(expected_calibration_error(P, y), abs=0.02)


def test_no_measure_warns_of_bins_that_are_empty() -> None:
    """The suite turns every warning into an error."""
    reliability_curve(FIVE, np.zeros(5, int), bins=30)
    assert expected_calibration_error(FIVE, np.zeros(5, int), bins=30) > 0


@pytest.mark.parametrize("measure", [reliability_curve, expected_calibration_error])
@pytest.mark.parametrize(
    ("P", "y", "told"),
    [
        (FIVE, np.zeros(4, int), r"shapes \(n, classes\) and \(n,\) .* got \(5, 2\) and \(4,\)"),
        (FIVE[:, 0], np.zeros(5, int), r"got \(5,\) and \(5,\)"),
        (FIVE[:0], np.zeros(0, int), r"n >= 1, got \(0, 2\) and \(0,\)"),
        (FIVE[:, :1], np.zeros(5, int), r"\(5, 1\): for two classes use np\.column_stack"),
        (FIVE, np.zeros((5, 1), int), r"class ids of shape \(n,\), got \(5, 1\)"),
        (FIVE, np.full(5, 2), "class ids from 0 to 1, got 2"),
        (10 * FIVE, np.zeros(5, int), r"row 0 from 0\.5 to 9\.5 with the sum 10: softmax makes"),
        (np.array([[1.2, -0.2]]), np.zeros(1, int), r"row 0 from -0\.2 to 1\.2 with the sum 1:"),
        (np.array([[0.5, np.nan]]), np.zeros(1, int), "got NaN in row 0"),
        (np.array([[np.inf, 0.5]]), np.zeros(1, int), "row 0 from 0.5 to inf"),
    ],
)
def test_what_are_no_probabilities_with_their_classes_is_refused(
    measure: Any, P: np.ndarray, y: np.ndarray, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        measure(P, y)


def test_scores_that_do_not_fit_or_have_no_rank_are_refused() -> None:
    scores, y = np.zeros((4, 3)), np.zeros(4, int)
    for bad, labels, told in [
        (scores[:, 0], y, r"got \(4,\) and \(4,\)"),
        (scores[:2], y, r"got \(2, 3\) and \(4,\)"),
        (scores[:, :0], y, r"got \(4, 0\) and \(4,\)"),
        (scores, y + 3, "class ids from 0 to 2, got 3"),
        (np.where(np.eye(4, 3) > 0, np.nan, 1.0)[1:], y[1:], "got NaN in row 0"),
    ]:
        with pytest.raises(ValueError, match=told):
            top_k_accuracy(bad, labels, 1)
    with pytest.raises(TypeError, match="expected integer class ids, got float64"):
        top_k_accuracy(scores, np.zeros(4), 1)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize(
    ("k", "error", "told"),
    [
        (0, ValueError, "expected k from 1 to 3, got 0"),
        (4, ValueError, "expected k from 1 to 3, got 4"),
        (1.5, TypeError, "expected k as a whole number, got 1.5"),
        (True, TypeError, "expected k as a whole number, got True"),
    ],
)
def test_a_number_of_guesses_that_makes_no_sense_is_refused(
    k: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        top_k_accuracy(np.zeros((4, 3)), np.zeros(4, int), k)
    assert top_k_accuracy(np.zeros((4, 3)), np.zeros(4, int), np.int64(3)) == 1  # type: ignore[arg-type]  # NumPy's whole numbers are taken


@pytest.mark.parametrize("measure", [reliability_curve, expected_calibration_error])
def test_a_number_of_bins_that_makes_no_sense_is_refused(measure: Any) -> None:
    with pytest.raises(ValueError, match="expected bins of at least 1, got 0"):
        measure(FIVE, np.zeros(5, int), bins=0)
    with pytest.raises(TypeError, match=r"expected bins as a whole number, got 2\.0"):
        measure(FIVE, np.zeros(5, int), bins=2.0)
