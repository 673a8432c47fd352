"""The learning-rate range test: how fast a network can learn before it falls apart."""

from __future__ import annotations

import copy
import math
from itertools import repeat
from typing import NamedTuple

import numpy as np

from dlbook.data import minibatches
from dlbook.scratch.checks import Array, Labels, check_generator, check_number, check_whole
from dlbook.scratch.layers import Layer
from dlbook.scratch.losses import Loss
from dlbook.scratch.optimizers import Optimizer
from dlbook.scratch.training import check_run, train_step

__all__ = ["RangeTest", "lr_range_test"]

TINY = float(np.finfo(np.float64).tiny)


class RangeTest(NamedTuple):
    """Rates tried, and the loss of the batch that each step was made on, before the step."""

    lr: Array
    loss: Array


def lr_range_test(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    X: Array,
    y: Array | Labels,
    *,
    batch_size: int,
    rng: np.random.Generator,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
) -> RangeTest:
    """Train a copy of a network with a rate that grows at every step, until the loss blows up.

    η(t) = a (b / a)^(t / (s − 1)), from the lowest rate a at step 0 to the highest b at step s − 1

    Parameters
    ----------
    model : Layer
        The network; it is left as it is.
    loss : tuple of callable
        The pair (forward, backward) of a loss, such as ``cross_entropy``.
    optimizer : Optimizer
        Made with ``model.parameters``; it is left as it is.
    X : ndarray of shape (n, ...)
        Inputs, one example a row.
    y : ndarray of shape (n, ...)
        Class ids of shape (n,), or targets of the shape of the outputs, as the loss asks for.
    batch_size : int
        Examples in a step.
    rng : Generator
        Shuffles the examples, anew whenever all have been shown.
    lowest, highest : float
        The first and the last rate, a and b.
    steps : int, default 100
        How many steps to make at most, s, at least 2.

    Returns
    -------
    RangeTest
        ``lr`` of shape (m,) and ``loss`` of shape (m,), where m is the number of steps made: the
        test ends once the loss is above four times its lowest, or not finite.

    Raises
    ------
    ValueError
        If a number is out of range, or the examples cannot be taken; the message gives what came.
    TypeError
        If an array, a number or ``rng`` is of another kind; the message gives what came.

    Notes
    -----
    A rate somewhat below the one with the steepest fall of the loss is a good highest rate for
    ``one_cycle``. The loss is that of single batches, and therefore noisy.

    References
    ----------
    L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3.

    Examples
    --------
    >>> from dlbook.data import make_blobs
    >>> from dlbook.scratch import layers, losses, optimizers
    >>> rng = np.random.default_rng(0)
    >>> X, y = make_blobs(60, k=3, rng=rng)
    >>> model = layers.mlp([2, 8, 3], rng=rng)
    >>> sgd = optimizers.SGD(model.parameters)
    >>> found = lr_range_test(model, losses.cross_entropy, sgd, X, y, batch_size=20, rng=rng)
    >>> found.loss.min() < found.loss[0]
    np.True_
    """
    check_whole("batch_size", batch_size)
    check_generator(rng)
    check_number("lowest", lowest, TINY)
    check_number("highest", highest, lowest)
    check_whole("steps", steps, 2)
    check_run(model, loss, optimizer, (X, y))
    model, optimizer = copy.deepcopy((model, optimizer))
    rates, found = lowest * (highest / lowest) ** (np.arange(steps) / (steps - 1)), []
    shuffled = (batch for _ in repeat(None) for batch in minibatches(len(X), batch_size, rng=rng))
    with np.errstate(over="ignore", invalid="ignore"):  # the test goes on until it blows up
        for rate, batch in zip(rates, shuffled, strict=False):
            optimizer.lr = float(rate)
            value, _ = train_step(model, loss, optimizer, X[batch], y[batch])
            found.append(value)
            if not math.isfinite(value) or value > 4 * min(found):
                break
    return RangeTest(rates[: len(found)], np.array(found))
