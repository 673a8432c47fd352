"""The book's recorded data sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dlbook.data.splitting import Part, Splits, split

DIGITS_MAXIMUM = 16  # a pixel counts the dark ones among the 4 × 4 pixels it stands for


def load_digits(
    *, rng: np.random.Generator, flatten: bool = True, dtype: DTypeLike = np.float32
) -> Splits:
    """Load 1,797 handwritten digits, 8 by 8 pixels each, split into three parts.

    A tenth of the images, 179, is for validation and a fifth, 359, for the test; 1,259 are left
    for training. Each part holds the ten digits in the same proportions, to within one image.

    Parameters
    ----------
    rng : Generator
        Decides the split; the same seed gives the same one.
    flatten : bool, default True
        Return an image as a row of 64 pixels; otherwise as shape (1, 8, 8): channel, height,
        width.
    dtype : dtype, default float32
        The dtype of the pixels.

    Returns
    -------
    Splits
        In each part ``X`` is an ndarray of shape (n, 64), pixels in [0, 1] with 1 as ink, and
        ``y`` an ndarray of shape (n,), the digits 0 to 9 as int64.

    Notes
    -----
    The pixels are divided by 16, the maximum that the format allows. This is known without looking
    at any image, so no part learns of another by it.

    References
    ----------
    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998; the test part of that set, as it comes with scikit-learn.

    Examples
    --------
    >>> digits = load_digits(rng=np.random.default_rng(0))
    >>> digits.train.X.shape, digits.validation.X.shape, digits.test.X.shape
    ((1259, 64), (179, 64), (359, 64))
    """
    from sklearn import datasets

    pixels, y = datasets.load_digits(return_X_y=True)
    X = (pixels / DIGITS_MAXIMUM).astype(dtype)
    if not flatten:
        X = X.reshape(-1, 1, 8, 8)
    return split(X, y.astype(np.int64), rng=rng)


def load_two_digits(
    negative: int, positive: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64
) -> Splits:
    """Load the images of two of the ten digits, as a question with two answers.

    Parameters
    ----------
    negative : int
        The digit, 0 to 9, whose target is −1.
    positive : int
        The digit, 0 to 9, whose target is +1.
    rng : Generator
        Decides the split, as in ``load_digits``.
    dtype : dtype, default float64
        The dtype of pixels and targets.

    Returns
    -------
    Splits
        In each part ``X`` is an ndarray of shape (n, 64), pixels in [0, 1], and ``y`` an ndarray
        of shape (n, 1), the targets −1 and +1.

    Raises
    ------
    ValueError
        If the two are not different digits; the message states what came.

    Examples
    --------
    >>> pair = load_two_digits(3, 8, rng=np.random.default_rng(0))
    >>> pair.train.X.shape, pair.test.y[:3, 0]
    ((250, 64), array([-1., -1., -1.]))
    """
    if negative == positive or not {negative, positive} <= set(range(10)):
        raise ValueError(f"expected two different digits from 0 to 9, got {negative}, {positive}")
    digits = load_digits(rng=rng, dtype=dtype)

    def answers(part: Part) -> Part:
        keep = (part.y == negative) | (part.y == positive)
        targets = np.where(part.y[keep] == positive, 1, -1).astype(dtype)
        return Part(part.X[keep], targets[:, np.newaxis])

    return Splits(*(answers(part) for part in (digits.train, digits.validation, digits.test)))


def load_delivery(
    dtype: DTypeLike = np.float64,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Load the two records of the delivery problem.

    The records determine a line: 3.4 minutes a mile and 5.2 minutes for a ride of no length.

    Parameters
    ----------
    dtype : dtype, default float64
        The dtype of both arrays.

    Returns
    -------
    X : ndarray of shape (2, 1)
        Distances in miles.
    Y : ndarray of shape (2, 1)
        Times in minutes.

    Examples
    --------
    >>> X, Y = load_delivery()
    >>> np.hstack([X, Y])
    array([[ 5. , 22.2],
           [ 6. , 25.6]])
    """
    from importlib import resources  # loads much, and this is all that needs it

    with resources.files("dlbook.data").joinpath("delivery.csv").open(encoding="utf-8") as file:
        table = np.loadtxt(file, delimiter=",", skiprows=1, dtype=dtype)  # (2, 2)
    return table[:, :1], table[:, 1:]
