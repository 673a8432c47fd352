"""Points in the plane, drawn from a stated rule and a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray


def make_blobs(
    n: int,
    *,
    rng: np.random.Generator,
    k: int = 2,
    spread: float = 1.0,
    radius: float = 2.5,
    dtype: DTypeLike = np.float32,
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Draw points around k centers: round clouds, which straight lines part.

    ``x = c_j + spread · e`` with ``e`` standard normal; the centers ``c_j`` stand evenly on a
    circle of the given radius around the origin.

    Parameters
    ----------
    n : int
        The number of points.
    rng : Generator
        Draws the points and their order.
    k : int, default 2
        The number of clouds, which are the classes; their sizes differ by one point at most.
    spread : float, default 1.0
        Standard deviation of each cloud along either axis.
    radius : float, default 2.5
        Distance of the centers from the origin.
    dtype : dtype, default float32
        The dtype of the points.

    Returns
    -------
    X : ndarray of shape (n, 2)
        Points, in random order.
    y : ndarray of shape (n,)
        The number of each point's cloud, from 0.

    Raises
    ------
    ValueError
        If there are fewer points than clouds, or ``spread`` is negative; the message gives them.

    Examples
    --------
    >>> X, y = make_blobs(6, k=3, spread=0.0, rng=np.random.default_rng(0))
    >>> np.bincount(y), np.unique(X.round(3), axis=0).shape
    (array([2, 2, 2]), (3, 2))
    """
    if k < 1 or n < k:
        raise ValueError(f"expected at least one point for each cloud, got n = {n} and k = {k}")
    if spread < 0:
        raise ValueError(f"expected a spread from 0 up, got {spread}")
    y = rng.permutation(np.arange(n) % k)  # (n,)
    angle = 2 * np.pi * y / k + np.pi / 4  # (n,)
    centers = radius * np.column_stack([np.cos(angle), np.sin(angle)])  # (n, 2)
    X = centers + spread * rng.standard_normal((n, 2))
    return X.astype(dtype), y


def make_moons(
    n: int,
    noise: float = 0.1,
    *,
    rng: np.random.Generator,
    dtype: DTypeLike = np.float32,
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Draw points from two half circles that reach into each other: no straight line parts them.

    Class 0 is ``(cos t, sin t)`` and class 1 is ``(1 - cos t, 1/2 - sin t)``, with ``t`` uniform
    on [0, π]; normal noise is added to both coordinates.

    Parameters
    ----------
    n : int
        The number of points.
    noise : float, default 0.1
        Standard deviation of the noise along either axis; the half circles have radius 1.
    rng : Generator
        Draws the points and their order.
    dtype : dtype, default float32
        The dtype of the points.

    Returns
    -------
    X : ndarray of shape (n, 2)
        Points, in random order.
    y : ndarray of shape (n,)
        0 for the upper half circle, 1 for the lower; their sizes differ by one point at most.

    Raises
    ------
    ValueError
        If there are fewer than two points, or ``noise`` is negative; the message gives it.

    Notes
    -----
    The half circles are scikit-learn's; there ``t`` is spaced evenly.

    Examples
    --------
    >>> X, y = make_moons(100, noise=0.0, rng=np.random.default_rng(0))
    >>> np.allclose(np.hypot(*X[y == 0].T), 1)
    True
    """
    if n < 2:
        raise ValueError(f"expected at least one point for each half circle, got n = {n}")
    if noise < 0:
        raise ValueError(f"expected noise from 0 up, got {noise}")
    y = rng.permutation(np.arange(n) % 2)  # (n,)
    t = rng.uniform(0, np.pi, size=n)  # (n,)
    upper = np.column_stack([np.cos(t), np.sin(t)])  # (n, 2)
    lower = np.column_stack([1 - np.cos(t), 0.5 - np.sin(t)])  # (n, 2)
    X = np.where(y[:, None] == 0, upper, lower) + noise * rng.standard_normal((n, 2))
    return X.astype(dtype), y
