"""Where the weights start: random, and as wide as keeps signals neither growing nor fading.

The fans of a weight matrix of shape (d_in, d_out) are d_in and d_out, as ``torch.nn.init`` counts
them for its transposed layout.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from dlbook.scratch.checks import Array, check_generator, check_whole

__all__ = ["he_normal", "he_uniform", "xavier_normal", "xavier_uniform"]


def he_normal(
    d_in: int, d_out: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> Array:
    """Draw weights for a layer before ReLU from a normal distribution.

    w ~ N(0, s²) with s = √(2 / d_in)

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance 2 / d_in.

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1; the message gives it.
    TypeError
        If ``d_in`` or ``d_out`` is not an integer, or ``rng`` not a Generator; the message gives
        what came.

    Notes
    -----
    ``torch.nn.init.kaiming_normal_`` with ``nonlinearity="relu"``. The 2 makes up for the
    half of the signal that ReLU cuts off.

    References
    ----------
    K. He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.2.

    Examples
    --------
    >>> W = he_normal(200, 300, rng=np.random.default_rng(0))
    >>> W.shape, float(W.var() * 200)
    ((200, 300), 2.0)
    """
    _check(d_in, d_out, rng)
    std = math.sqrt(2 / d_in)
    return rng.normal(0, std, size=(d_in, d_out)).astype(dtype)


def he_uniform(
    d_in: int, d_out: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> Array:
    """Draw weights for a layer before ReLU from a uniform distribution.

    w ~ U(−a, a) with a = √(6 / d_in)

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance a² / 3 = 2 / d_in.

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1; the message gives it.
    TypeError
        If ``d_in`` or ``d_out`` is not an integer, or ``rng`` not a Generator; the message gives
        what came.

    Notes
    -----
    ``torch.nn.init.kaiming_uniform_`` with ``nonlinearity="relu"``. ``torch.nn.Linear`` starts
    narrower, with a = √(1 / d_in).

    References
    ----------
    K. He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.2.

    Examples
    --------
    >>> W = he_uniform(200, 300, rng=np.random.default_rng(0))
    >>> W.shape, float(W.var() * 200)
    ((200, 300), 2.0)
    """
    _check(d_in, d_out, rng)
    a = math.sqrt(6 / d_in)
    return rng.uniform(-a, a, size=(d_in, d_out)).astype(dtype)


def xavier_normal(
    d_in: int, d_out: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> Array:
    """Draw weights for a layer before sigmoid or tanh from a normal distribution.

    w ~ N(0, s²) with s = √(2 / (d_in + d_out))

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance 2 / (d_in + d_out).

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1; the message gives it.
    TypeError
        If ``d_in`` or ``d_out`` is not an integer, or ``rng`` not a Generator; the message gives
        what came.

    Notes
    -----
    ``torch.nn.init.xavier_normal_`` with its default gain of 1. The sum of both fans is a
    compromise: 1 / d_in keeps the forward signal's variance, 1 / d_out the gradient's.

    References
    ----------
    X. Glorot and Y. Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural
    Networks", AISTATS 2010, section 4.2.1.

    Examples
    --------
    >>> W = xavier_normal(200, 300, rng=np.random.default_rng(0))
    >>> W.shape, float(W.var() * 250)
    ((200, 300), 1.0)
    """
    _check(d_in, d_out, rng)
    std = math.sqrt(2 / (d_in + d_out))
    return rng.normal(0, std, size=(d_in, d_out)).astype(dtype)


def xavier_uniform(
    d_in: int, d_out: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> Array:
    """Draw weights for a layer before sigmoid or tanh from a uniform distribution.

    w ~ U(−a, a) with a = √(6 / (d_in + d_out))

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance a² / 3 = 2 / (d_in + d_out).

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1; the message gives it.
    TypeError
        If ``d_in`` or ``d_out`` is not an integer, or ``rng`` not a Generator; the message gives
        what came.

    Notes
    -----
    ``torch.nn.init.xavier_uniform_`` with its default gain of 1.

    References
    ----------
    X. Glorot and Y. Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural
    Networks", AISTATS 2010, section 4.2.1.

    Examples
    --------
    >>> W = xavier_uniform(200, 300, rng=np.random.default_rng(0))
    >>> W.shape, float(W.var() * 250)
    ((200, 300), 1.0)
    """
    _check(d_in, d_out, rng)
    a = math.sqrt(6 / (d_in + d_out))
    return rng.uniform(-a, a, size=(d_in, d_out)).astype(dtype)


def _check(d_in: int, d_out: int, rng: np.random.Generator) -> None:
    check_whole("d_in", d_in)
    check_whole("d_out", d_out)
    check_generator(rng)
