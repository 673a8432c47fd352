"""Turning columns into numbers a network can use: standardized columns, one-hot classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dlbook.arguments import check_class_ids

Array = NDArray[np.floating]


class Standardizer:
    """Shift and scale columns to mean 0 and standard deviation 1, as measured on the training part.

    ``transform(X) = (X - mean) / std``, column by column; ``mean`` and ``std`` are those of the
    array that ``fit`` saw. Fit on the training part only: whoever fits on all the data has looked
    at the test set.

    Attributes
    ----------
    mean : ndarray of shape (d,)
        Mean of each column, in the columns' units.
    std : ndarray of shape (d,)
        Standard deviation of each column, in the columns' units; 1 where a column is constant,
        so that a constant column becomes 0 and nothing is divided by 0.

    Notes
    -----
    The deviation divides by n, as in scikit-learn's ``StandardScaler``. It is computed from the
    deviations themselves: the shortcut E[x²] − E[x]² goes negative in float32 when the mean is
    large.

    Examples
    --------
    >>> miles = np.array([[5.0], [6.0]])
    >>> Standardizer().fit(miles).transform(np.array([[7.0]]))
    array([[3.]])
    """

    mean: Array
    std: Array

    def fit(self, X: Array) -> Standardizer:
        """Measure the mean and the standard deviation of each column.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            The training part.

        Returns
        -------
        Standardizer
            Itself, so that ``fit`` and ``transform`` can be chained.

        Raises
        ------
        ValueError
            If ``X`` is not a table with at least one row, or holds NaN or infinity; the message
            tells which.
        TypeError
            If ``X`` does not hold floating-point numbers.
        """
        if not np.issubdtype(X.dtype, np.floating):
            raise TypeError(f"expected floating-point columns, got {X.dtype}: use X.astype(float)")
        if X.ndim != 2 or not len(X):
            raise ValueError(f"expected X of shape (n, d) with n >= 1, got {X.shape}")
        if not np.isfinite(X).all():
            raise ValueError("expected finite numbers, got NaN or infinity in X")
        constant = X.max(axis=0) == X.min(axis=0)  # (d,)
        self.mean = np.where(constant, X[0], X.mean(axis=0, dtype=np.float64))
        self.std = np.where(constant, 1.0, X.std(axis=0, dtype=np.float64))
        return self

    def transform(self, X: Array) -> Array:
        """Shift and scale each column.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Any part: training, validation or test.

        Returns
        -------
        ndarray of shape (n, d)
            ``(X - mean) / std``, in the dtype of ``X``.

        Raises
        ------
        ValueError
            If ``fit`` has not been called, or ``X`` has another number of columns.
        """
        self._check(X)
        return ((X - self.mean) / self.std).astype(X.dtype)

    def inverse(self, X: Array) -> Array:
        """Undo ``transform``.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Standardized columns.

        Returns
        -------
        ndarray of shape (n, d)
            ``X * std + mean``, in the dtype of ``X`` and the columns' own units.

        Raises
        ------
        ValueError
            If ``fit`` has not been called, or ``X`` has another number of columns.
        """
        self._check(X)
        return (X * self.std + self.mean).astype(X.dtype)

    def _check(self, X: Array) -> None:
        if not hasattr(self, "mean"):
            raise ValueError("this Standardizer has measured nothing: call fit(X_train) first")
        if X.ndim != 2 or X.shape[1] != len(self.mean):
            raise ValueError(f"expected X of shape (n, {len(self.mean)}), as in fit, got {X.shape}")


def one_hot(y: NDArray[np.integer], k: int, *, dtype: DTypeLike = np.float32) -> Array:
    """Turn class ids into rows that hold a single 1.

    ``Y[i, j] = 1 if y[i] == j else 0``

    Parameters
    ----------
    y : ndarray of shape (n,)
        Class ids from 0 to k - 1.
    k : int
        The number of classes.
    dtype : dtype, default float32
        The dtype of the result.

    Returns
    -------
    ndarray of shape (n, k)
        One row for each example.

    Raises
    ------
    TypeError
        If ``y`` does not hold integers; the message gives its dtype.
    ValueError
        If ``y`` has another number of axes or an id outside 0 … k - 1; the message gives it.

    Examples
    --------
    >>> one_hot(np.array([2, 0]), k=3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    check_class_ids(y, k)
    Y: Array = np.zeros((len(y), k), dtype=dtype)
    Y[np.arange(len(y)), y] = 1
    return Y
