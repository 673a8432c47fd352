"""Measures of a classifier's predictions: how often they are right, and how well it knows that."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from dlbook.arguments import check_class_ids

__all__ = [
    "accuracy",
    "confusion_matrix",
    "expected_calibration_error",
    "predicted_classes",
    "reliability_curve",
    "top_k_accuracy",
]

Classes = NDArray[np.integer]
Floats = NDArray[np.floating]
SLACK = 0.01  # by which probabilities may miss the sum 1, as those in half precision do


def predicted_classes(Z: Floats) -> NDArray[np.int64]:
    """Return the class that each row of logits speaks for.

    With k ≥ 2 logits a row, the class of the largest: ``argmax(z)``. With one logit a row, class 1
    where ``z > 0``, that is where its probability is above one half, and else class 0.

    Parameters
    ----------
    Z : ndarray of shape (n, k)
        Logits; k = 1, or shape (n,), means one logit for two classes.

    Returns
    -------
    ndarray of shape (n,)
        Class ids from 0.

    Raises
    ------
    ValueError
        If ``Z`` has another number of axes; the message gives its shape.

    Notes
    -----
    Of equal logits the first wins. Probabilities serve as well as logits for k ≥ 2, not for one.

    Examples
    --------
    >>> predicted_classes(np.array([[5.0, 7.0, 12.0], [0.1, 0.0, -0.1]]))
    array([2, 0])
    >>> predicted_classes(np.array([[-0.3], [0.3]]))
    array([0, 1])
    """
    if Z.ndim not in (1, 2):
        raise ValueError(f"expected logits of shape (n, k) or (n,), got {Z.shape}")
    if Z.ndim == 1 or Z.shape[1] == 1:
        return (Z.reshape(-1) > 0).astype(np.int64)
    classes: NDArray[np.int64] = Z.argmax(axis=1)
    return classes


def accuracy(predicted: Classes, y: Classes) -> float:
    """Return the share of examples whose class was predicted.

    ``accuracy = mean(predicted == y)``

    Parameters
    ----------
    predicted : ndarray of shape (n,)
        Predicted class ids.
    y : ndarray of shape (n,)
        True class ids.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no example; the message gives both shapes. Without this
        check, shapes (n,) and (n, 1) would be compared pair by pair, n × n times.
    TypeError
        If either does not hold integers, as when logits are passed in place of classes.

    Examples
    --------
    >>> accuracy(np.array([1, 0, 2, 2]), np.array([1, 0, 0, 2]))
    0.75
    """
    _check_pair(predicted, y)
    return float((predicted == y).mean())


def confusion_matrix(predicted: Classes, y: Classes, k: int) -> NDArray[np.int64]:
    """Count how often each class was taken for each.

    ``C[i, j]`` is the number of examples of true class i that were predicted as class j.

    Parameters
    ----------
    predicted : ndarray of shape (n,)
        Predicted class ids, each from 0 to k - 1.
    y : ndarray of shape (n,)
        True class ids, each from 0 to k - 1.
    k : int
        The number of classes.

    Returns
    -------
    ndarray of shape (k, k)
        Counts: rows are true classes, columns predictions.

    Raises
    ------
    ValueError
        If the shapes differ, there is no example, or a class id lies outside 0 … k - 1.
    TypeError
        If either does not hold integers.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), k=2)
    array([[1, 1],
           [0, 1]])
    """
    _check_pair(predicted, y)
    check_class_ids(predicted, k)
    check_class_ids(y, k)
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (y, predicted), 1)
    return counts


def top_k_accuracy(scores: Floats, y: Classes, k: int) -> float:
    """Return the share of examples whose true class is among the k with the highest scores.

    ``accuracy = mean(rank < k)``, where the rank of an example counts the classes that come
    before the true one: those with a higher score and, of those with the same, the earlier ones.

    Parameters
    ----------
    scores : ndarray of shape (n, classes)
        Logits or probabilities.
    y : ndarray of shape (n,)
        True class ids.
    k : int
        How many guesses an example has, from 1 to the number of classes.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the shapes do not go together, there is no example, a score is NaN, a class id lies
        outside 0 … classes - 1, or k outside 1 … classes; the message gives what came.
    TypeError
        If the class ids or k are not whole numbers.

    Notes
    -----
    Of equal scores the first class wins, as in ``predicted_classes``, so that k = 1 gives
    ``accuracy``. In scikit-learn's ``top_k_accuracy_score`` the last one wins.

    Examples
    --------
    >>> scores = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    >>> top_k_accuracy(scores, np.array([1, 0]), k=2)
    0.5
    """
    _check_scores(scores, y)
    _check_whole("k", k, most=scores.shape[1])
    own = scores[np.arange(len(y)), y][:, np.newaxis]  # (n, 1)
    earlier = np.arange(scores.shape[1]) < y[:, np.newaxis]  # (n, classes)
    rank = ((scores > own) | ((scores == own) & earlier)).sum(axis=1)  # (n,)
    return float((rank < k).mean())


def reliability_curve(
    P: Floats, y: Classes, bins: int = 15
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Compare, bin by bin, how sure a classifier was with how often it was right.

    The confidence of an example is the probability of the class that was predicted, ``max(p)``.
    Bin b of B holds the examples with a confidence above ``b / B`` and up to ``(b + 1) / B``,
    where b counts from 0; an edge belongs to the bin below it.

    Parameters
    ----------
    P : ndarray of shape (n, classes)
        Probabilities; each row sums to 1.
    y : ndarray of shape (n,)
        True class ids.
    bins : int, default 15
        B, the number of bins, all of the same width.

    Returns
    -------
    confidence : ndarray of shape (bins,)
        Mean confidence of the examples in each bin; NaN where there is none.
    accuracy : ndarray of shape (bins,)
        The share of them that were predicted rightly; NaN where there is none.
    count : ndarray of shape (bins,)
        How many examples each bin holds.

    Raises
    ------
    ValueError
        If the shapes do not go together, there is no example or only one class, P does not hold
        probabilities, a class id lies outside 0 … classes - 1, or ``bins`` is below 1; the message
        gives what came.
    TypeError
        If the class ids or ``bins`` are not whole numbers.

    Notes
    -----
    The edges are those of Guo et al. and of scikit-learn's ``calibration_curve``, which is for two
    classes and bins the probability of the second of them.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> confidence, accuracy, count = reliability_curve(P, np.array([0, 0, 1, 0]), bins=4)
    >>> print(confidence, accuracy, count)
    [ nan  nan 0.65 0.85] [nan nan 0.5 1. ] [0 0 2 2]
    """
    _check_scores(P, y)
    _check_probabilities(P)
    _check_whole("bins", bins)
    confidence = P.max(axis=1).astype(np.float64)
    right = P.argmax(axis=1) == y
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)  # (n,)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=weights, minlength=bins) for weights in (confidence, right)]
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, as is said above
        mean_confidence, share_right = (total / count for total in sums)
    return mean_confidence, share_right, count


def expected_calibration_error(P: Floats, y: Classes, bins: int = 15) -> float:
    """Return by how much a classifier's confidence misses its accuracy, on average.

    ``error = Σ_b count_b / n · |accuracy_b - confidence_b|``, over the bins of
    ``reliability_curve`` that hold examples.

    Parameters
    ----------
    P : ndarray of shape (n, classes)
        Probabilities; each row sums to 1.
    y : ndarray of shape (n,)
        True class ids.
    bins : int, default 15
        The number of bins.

    Returns
    -------
    float
        Between 0 and 1. With 0 the classifier is right as often as it says, in every bin.

    Raises
    ------
    ValueError, TypeError
        As ``reliability_curve``.

    Notes
    -----
    The number depends on the bins: compare only what was measured with the same ones. It says
    nothing about the probabilities of the classes that were not predicted.

    References
    ----------
    M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning", AAAI 2015, which names it.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> print(f"{expected_calibration_error(P, np.array([0, 0, 1, 0]), bins=4):.3f}")
    0.150
    """
    confidence, share_right, count = reliability_curve(P, y, bins)
    filled = count > 0
    gaps = np.abs(share_right - confidence)[filled]
    return float(count[filled] @ gaps / len(y))


def _check_pair(predicted: Classes, y: Classes) -> None:
    if predicted.shape != y.shape or predicted.ndim != 1 or not len(predicted):
        raise ValueError(
            "expected as many predictions as labels, both of shape (n,) with n >= 1, "
            f"got {predicted.shape} and {y.shape}"
        )
    for array in (predicted, y):
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(
                f"expected integer class ids, got {array.dtype}; "
                "predicted_classes turns logits into classes"
            )


def _check_scores(scores: Floats, y: Classes) -> None:
    if scores.ndim != 2 or len(scores) != len(y) or not scores.size:
        raise ValueError(
            "expected a row of scores for each label, of shapes (n, classes) and (n,) with "
            f"n >= 1, got {scores.shape} and {y.shape}"
        )
    check_class_ids(y, scores.shape[1])
    if np.isnan(scores).any():
        row = int(np.isnan(scores).any(axis=1).argmax())
        raise ValueError(f"expected scores that are numbers, got NaN in row {row}")


def _check_probabilities(P: Floats) -> None:
    if P.shape[1] == 1:
        raise ValueError(
            f"expected a column of probabilities for each class, got {P.shape}: "
            "for two classes use np.column_stack([1 - p, p])"
        )
    sums = P.sum(axis=1, dtype=np.float64)
    wrong = (P < 0).any(axis=1) | ~(np.abs(sums - 1) <= SLACK)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"expected rows of probabilities, got row {row} from {P[row].min():.4g} to "
            f"{P[row].max():.4g} with the sum {sums[row]:.4g}: softmax makes them from logits"
        )


def _check_whole(name: str, value: int, most: int | None = None) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"expected {name} as a whole number, got {value!r}")
    if value < 1 or (most is not None and value > most):
        limit = "of at least 1" if most is None else f"from 1 to {most}"
        raise ValueError(f"expected {name} {limit}, got {value}")
