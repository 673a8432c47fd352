"""Rules that do not look at the size of a layer, and what all rules check."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from dlbook.scratch.checks import Array, check_generator, check_number, check_whole

__all__ = ["check_rule", "normal", "zeros"]


def zeros(
    d_in: int, d_out: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> Array:
    """Start every weight at 0.

    w = 0

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Not drawn from; taken so that all rules are called alike.
    dtype : dtype, default float32
        The dtype of the weights.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Zeros.

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1; the message gives it.
    TypeError
        If an argument is of another kind; the message gives what came.

    Notes
    -----
    Right for biases, and for a single layer. In a hidden layer every unit would start alike, get
    the same gradient and stay alike for good: weights are drawn at random to tell units apart.

    Examples
    --------
    >>> zeros(1, 3, rng=np.random.default_rng(0))
    array([[0., 0., 0.]], dtype=float32)
    """
    check_rule(d_in, d_out, rng, dtype)
    return np.zeros((d_in, d_out), dtype)


def normal(
    d_in: int,
    d_out: int,
    *,
    rng: np.random.Generator,
    std: float = 0.01,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Draw weights from a normal distribution whose width is given.

    w ~ N(0, s²) with s = ``std``

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    std : float, default 0.01
        The standard deviation; 0 or more.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance ``std``².

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1, or ``std`` negative or not finite; the
        message gives what came.
    TypeError
        If an argument is of another kind; the message gives what came.

    Notes
    -----
    ``torch.nn.init.normal_``, whose default is 1. A width that does not know the size of the layer
    lets signals grow or fade from layer to layer; the other rules choose it from the fans.

    Examples
    --------
    >>> W = normal(200, 300, rng=np.random.default_rng(0), std=0.5)
    >>> W.shape, float(W.std())
    ((200, 300), 0.50)
    """
    check_rule(d_in, d_out, rng, dtype)
    check_number("std", std, 0)
    return rng.normal(0, std, size=(d_in, d_out)).astype(dtype)


def check_rule(d_in: int, d_out: int, rng: np.random.Generator, dtype: DTypeLike) -> None:
    """Refuse what no rule can draw weights for.

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        The source of randomness.
    dtype : dtype
        The dtype of the weights.

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1; the message gives it.
    TypeError
        If one of the four is of another kind; the message gives what came.

    Examples
    --------
    >>> check_rule(3, 2, np.random.default_rng(0), int)
    Traceback (most recent call last):
    TypeError: expected a dtype of floats, got <class 'int'>: use np.float32 or np.float64
    """
    check_whole("d_in", d_in)
    check_whole("d_out", d_out)
    check_generator(rng)
    try:
        floats = np.dtype(dtype).kind == "f"
    except TypeError:
        floats = False
    if not floats or dtype is None:
        raise TypeError(f"expected a dtype of floats, got {dtype!r}: use np.float32 or np.float64")
