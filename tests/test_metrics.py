from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn import metrics as reference

from dlbook.metrics import accuracy, confusion_matrix, predicted_classes


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
