"""Splitting examples into a training, a validation and a test part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Part(NamedTuple):
    """Examples and their targets, row by row.

    Attributes
    ----------
    X : ndarray of shape (n, ...)
        Examples.
    y : ndarray of shape (n, ...)
        Class ids or targets.
    """

    X: NDArray[Any]
    y: NDArray[Any]


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set; no example stands in two of them.

    Attributes
    ----------
    train : Part
        What the parameters are fitted to.
    validation : Part
        What choices are made by: the rate, the widths, when to stop. May be empty.
    test : Part
        What is opened once, at the end.
    """

    train: Part
    validation: Part
    test: Part


def split(
    X: NDArray[Any],
    y: NDArray[Any],
    *,
    rng: np.random.Generator,
    validation: float = 0.1,
    test: float = 0.2,
    stratify: bool = True,
) -> Splits:
    """Split examples at random into a training, a validation and a test part.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        Examples.
    y : ndarray of shape (n, ...)
        Class ids of shape (n,), or targets.
    rng : Generator
        Decides who goes where, and the order within each part.
    validation : float, default 0.1
        The validation part's share of all examples, from 0 up.
    test : float, default 0.2
        The test part's share of all examples, from 0 up; what is left over is for training.
    stratify : bool, default True
        Give every part the same share of each class, to within one example. Turn it off where
        ``y`` does not hold classes.

    Returns
    -------
    Splits
        Copies; every example stands in exactly one part.

    Raises
    ------
    ValueError
        If X and y differ in length, the shares do not leave a training part, a class has too few
        examples for every part, or ``stratify`` is asked for with a ``y`` that is not of shape
        (n,); the message tells which, with the numbers.

    Notes
    -----
    Rows that are copies of each other may land in different parts, and a test part that has been
    seen tests nothing: remove copies first. ``shared_rows`` finds what two parts have in common.

    Examples
    --------
    >>> X, y = np.arange(20.0).reshape(10, 2), np.array([0, 1] * 5)
    >>> parts = split(X, y, rng=np.random.default_rng(0), validation=0.2, test=0.2)
    >>> len(parts.train.y), sorted(parts.test.y.tolist())
    (6, [0, 1])
    """
    if len(X) != len(y):
        raise ValueError(f"expected one target for each example, got {len(X)} and {len(y)}")
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise ValueError(
            "expected shares from 0 up that leave some examples for training, "
            f"got validation = {validation} and test = {test}"
        )
    if stratify and y.ndim != 1:
        raise ValueError(f"expected classes y of shape (n,), got {y.shape}: use stratify=False")
    groups = [np.flatnonzero(y == c) for c in np.unique(y)] if stratify else [np.arange(len(y))]
    cuts = [_cut(rng.permutation(group), validation, test) for group in groups]
    parts = [rng.permutation(np.concatenate(pieces)) for pieces in zip(*cuts, strict=True)]
    return Splits(*(Part(X[rows], y[rows]) for rows in parts))


def shared_rows(seen: NDArray[Any], held_out: NDArray[Any]) -> NDArray[np.int64]:
    """Find the held-out examples of which an exact copy has been seen.

    Parameters
    ----------
    seen : ndarray of shape (n, ...)
        Examples, such as those of the training part.
    held_out : ndarray of shape (m, ...)
        Examples, such as those of the test part.

    Returns
    -------
    ndarray of shape (s,)
        The rows of ``held_out`` that stand in ``seen`` too, in order.

    Raises
    ------
    ValueError
        If the examples differ in shape, or the parts in dtype; the message gives both.

    Notes
    -----
    Of copies that were rounded or scaled differently it knows nothing. Where rows belong together
    for another reason, such as one patient's images, split the patients and not the rows.

    Examples
    --------
    >>> records = np.array([[5.0, 22.2], [6.0, 25.6]])
    >>> rows = np.tile(records, (3, 1))
    >>> shared_rows(rows[:4], rows[4:])
    array([0, 1])
    >>> shared_rows(records[:1], records[1:])
    array([], dtype=int64)
    """
    for what, one, other in (
        ("examples of one shape", seen.shape[1:], held_out.shape[1:]),
        ("parts of one dtype", seen.dtype, held_out.dtype),
    ):
        if one != other:
            raise ValueError(f"expected {what}, got {one} and {other}")
    known = {row.tobytes() for row in _comparable(seen)}
    rows = [i for i, row in enumerate(_comparable(held_out)) if row.tobytes() in known]
    return np.array(rows, dtype=np.int64)


def _comparable(X: NDArray[Any]) -> NDArray[Any]:
    """Make −0 the 0 that it equals, so that equal rows are the same bytes."""
    return X + np.zeros((), X.dtype)


def _cut(rows: NDArray[np.int64], validation: float, test: float) -> list[NDArray[np.int64]]:
    """Cut shuffled rows of one class into training, validation and test rows."""
    n_validation, n_test = (round(share * len(rows)) for share in (validation, test))
    n_train = len(rows) - n_validation - n_test
    empty = (validation > 0 and not n_validation) or (test > 0 and not n_test) or n_train < 1
    if empty:
        raise ValueError(
            f"{len(rows)} examples (of a class, when stratified) are too few for every part: they "
            f"would be cut into {n_train}, {n_validation} and {n_test}; "
            "use other shares or stratify=False"
        )
    return np.split(rows, [n_train, n_train + n_validation])
