"""Rules that choose the width of the weights from the fans of the layer."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from dlbook.scratch.checks import Array, check_number
from dlbook.scratch.initialization.plain import check_rule

__all__ = [
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "xavier_normal",
    "xavier_uniform",
]


def lecun_normal(
    d_in: int,
    d_out: int,
    *,
    rng: np.random.Generator,
    gain: float = 1.0,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Draw weights that keep the variance of the signal, from a normal distribution.

    w ~ N(0, s²) with s = g / √d_in, where g is the gain

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    gain : float, default 1
        What the activation asks for, as ``calculate_gain`` gives it; 0 or more.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance g² / d_in.

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1, or ``gain`` negative or not finite; the
        message gives what came.
    TypeError
        If an argument is of another kind; the message gives what came.

    Notes
    -----
    ``torch.nn.init.kaiming_normal_`` with the nonlinearity that the gain is of; with a gain of √2
    it is ``he_normal``.

    References
    ----------
    Y. LeCun et al., "Efficient BackProp", in Neural Networks: Tricks of the Trade, 1998,
    section 4.6.

    Examples
    --------
    >>> W = lecun_normal(200, 300, rng=np.random.default_rng(0))
    >>> W.shape, float(W.var() * 200)
    ((200, 300), 1.0)
    """
    check_rule(d_in, d_out, rng, dtype)
    check_number("gain", gain, 0)
    std = gain * math.sqrt(1 / d_in)
    return rng.normal(0, std, size=(d_in, d_out)).astype(dtype)


def lecun_uniform(
    d_in: int,
    d_out: int,
    *,
    rng: np.random.Generator,
    gain: float = 1.0,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Draw weights that keep the variance of the signal, from a uniform distribution.

    w ~ U(−a, a) with a = g √(3 / d_in), where g is the gain

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    gain : float, default 1
        What the activation asks for, as ``calculate_gain`` gives it; 0 or more.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance a² / 3 = g² / d_in.

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1, or ``gain`` negative or not finite; the
        message gives what came.
    TypeError
        If an argument is of another kind; the message gives what came.

    Notes
    -----
    ``torch.nn.init.kaiming_uniform_`` with the nonlinearity that the gain is of. The weights of
    ``torch.nn.Linear`` start with a gain of √(1/3).

    References
    ----------
    Y. LeCun et al., "Efficient BackProp", in Neural Networks: Tricks of the Trade, 1998,
    section 4.6.

    Examples
    --------
    >>> W = lecun_uniform(200, 300, rng=np.random.default_rng(0))
    >>> W.shape, float(W.var() * 200)
    ((200, 300), 1.0)
    """
    check_rule(d_in, d_out, rng, dtype)
    check_number("gain", gain, 0)
    a = gain * math.sqrt(3 / d_in)
    return rng.uniform(-a, a, size=(d_in, d_out)).astype(dtype)


def xavier_normal(
    d_in: int,
    d_out: int,
    *,
    rng: np.random.Generator,
    gain: float = 1.0,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Draw weights for a layer before sigmoid or tanh from a normal distribution.

    w ~ N(0, s²) with s = g √(2 / (d_in + d_out)), where g is the gain

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    gain : float, default 1
        What the activation asks for, as ``calculate_gain`` gives it; 0 or more.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance 2 g² / (d_in + d_out).

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1, or ``gain`` negative or not finite; the
        message gives what came.
    TypeError
        If an argument is of another kind; the message gives what came.

    Notes
    -----
    ``torch.nn.init.xavier_normal_`` is the same. The sum of both fans is a compromise: 1 / d_in
    keeps the forward signal's variance, 1 / d_out the gradient's.

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
    check_rule(d_in, d_out, rng, dtype)
    check_number("gain", gain, 0)
    std = gain * math.sqrt(2 / (d_in + d_out))
    return rng.normal(0, std, size=(d_in, d_out)).astype(dtype)


def xavier_uniform(
    d_in: int,
    d_out: int,
    *,
    rng: np.random.Generator,
    gain: float = 1.0,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Draw weights for a layer before sigmoid or tanh from a uniform distribution.

    w ~ U(−a, a) with a = g √(6 / (d_in + d_out)), where g is the gain

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    gain : float, default 1
        What the activation asks for, as ``calculate_gain`` gives it; 0 or more.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance a² / 3 = 2 g² / (d_in + d_out).

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1, or ``gain`` negative or not finite; the
        message gives what came.
    TypeError
        If an argument is of another kind; the message gives what came.

    Notes
    -----
    ``torch.nn.init.xavier_uniform_`` is the same.

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
    check_rule(d_in, d_out, rng, dtype)
    check_number("gain", gain, 0)
    a = gain * math.sqrt(6 / (d_in + d_out))
    return rng.uniform(-a, a, size=(d_in, d_out)).astype(dtype)


def he_normal(
    d_in: int,
    d_out: int,
    *,
    rng: np.random.Generator,
    negative_slope: float = 0.0,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Draw weights for a layer before ReLU from a normal distribution.

    w ~ N(0, σ²) with σ = √(2 / ((1 + s²) d_in)), where s is the slope below 0

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    negative_slope : float, default 0
        s, the slope of leaky ReLU below 0; 0 for ReLU itself.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance 2 / ((1 + s²) d_in).

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1, or ``negative_slope`` negative or not finite; the
        message gives what came.
    TypeError
        If an argument is of another kind; the message gives what came.

    Notes
    -----
    ``torch.nn.init.kaiming_normal_`` with ``nonlinearity="leaky_relu"`` and s as its ``a``. The 2
    makes up for the half of the signal that ReLU cuts off.

    References
    ----------
    K. He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.2.

    Examples
    --------
    >>> W = he_normal(200, 300, rng=np.random.default_rng(0))
    >>> W.shape, float(W.var() * 200)
    ((200, 300), 2.0)
    """
    check_rule(d_in, d_out, rng, dtype)
    check_number("negative_slope", negative_slope, 0)
    std = math.sqrt(2 / ((1 + negative_slope**2) * d_in))
    return rng.normal(0, std, size=(d_in, d_out)).astype(dtype)


def he_uniform(
    d_in: int,
    d_out: int,
    *,
    rng: np.random.Generator,
    negative_slope: float = 0.0,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Draw weights for a layer before ReLU from a uniform distribution.

    w ~ U(−a, a) with a = √(6 / ((1 + s²) d_in)), where s is the slope below 0

    Parameters
    ----------
    d_in : int
        Inputs of the layer.
    d_out : int
        Outputs of the layer.
    rng : Generator
        Draws the weights.
    negative_slope : float, default 0
        s, the slope of leaky ReLU below 0; 0 for ReLU itself.
    dtype : dtype, default float32
        The dtype of the weights; the numbers drawn are the same, to rounding.

    Returns
    -------
    ndarray of shape (d_in, d_out)
        Weights of mean 0 and variance a² / 3 = 2 / ((1 + s²) d_in).

    Raises
    ------
    ValueError
        If ``d_in`` or ``d_out`` is below 1, or ``negative_slope`` negative or not finite; the
        message gives what came.
    TypeError
        If an argument is of another kind; the message gives what came.

    Notes
    -----
    ``torch.nn.init.kaiming_uniform_`` with ``nonlinearity="leaky_relu"`` and s as its ``a``.
    ``torch.nn.Linear`` starts narrower, with a = √(1 / d_in).

    References
    ----------
    K. He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.2.

    Examples
    --------
    >>> W = he_uniform(200, 300, rng=np.random.default_rng(0))
    >>> W.shape, float(W.var() * 200)
    ((200, 300), 2.0)
    """
    check_rule(d_in, d_out, rng, dtype)
    check_number("negative_slope", negative_slope, 0)
    a = math.sqrt(6 / ((1 + negative_slope**2) * d_in))
    return rng.uniform(-a, a, size=(d_in, d_out)).astype(dtype)
