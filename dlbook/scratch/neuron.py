"""One linear neuron, trained by gradient descent: the first thing in the book that learns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dlbook.scratch.linear import linear_backward, linear_forward
from dlbook.scratch.losses import mse_backward, mse_forward

Array = np.ndarray


class Path(NamedTuple):
    """Where gradient descent went: entry ``t`` is what stood after ``t`` steps."""

    W: Array
    b: Array
    loss: Array


def descend(X: Array, Y: Array, *, lr: float, steps: int) -> Path:
    r"""Train one linear neuron from zero by gradient descent on the mean squared error.

    Each step computes, with :math:`\eta` for the rate,
    :math:`Z = XW + b`, then :math:`W \leftarrow W - \eta\,\partial L/\partial W`
    and :math:`b \leftarrow b - \eta\,\partial L/\partial b`.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        One example a row.
    Y : ndarray of shape (n, 1)
        What the neuron should have answered.
    lr : float
        Learning rate, per step; greater than zero.
    steps : int
        Number of steps, each over all n examples.

    Returns
    -------
    Path
        ``W`` of shape (steps + 1, d), ``b`` of shape (steps + 1,) and ``loss`` of shape
        (steps + 1,), the mean squared error in squared units of Y.

    Raises
    ------
    ValueError
        If ``lr`` is not positive or ``steps`` is negative; it states what came.
        Shapes and dtypes are checked by the operations it calls.

    Examples
    --------
    >>> X, Y = np.array([[-0.5], [0.5]]), np.array([[22.2], [25.6]])
    >>> path = descend(X, Y, lr=0.5, steps=1)
    >>> path.W[-1], path.b[-1]
    (array([0.85]), np.float64(23.9))
    """
    if not lr > 0:
        raise ValueError(f"the learning rate must be positive, got lr={lr}")
    if steps < 0:
        raise ValueError(f"the number of steps cannot be negative, got steps={steps}")
    W = np.zeros((X.shape[1], 1), X.dtype)  # (d, 1)
    b = np.zeros(1, X.dtype)  # (1,)
    visited = []
    for _ in range(steps + 1):
        Z, cache = linear_forward(X, W, b)  # (n, 1)
        loss, loss_cache = mse_forward(Z, Y)
        visited.append((W[:, 0], b[0], loss))
        dZ = mse_backward(loss_cache)  # (n, 1)
        _, dW, db = linear_backward(dZ, cache)  # (d, 1), (1,)
        W = W - lr * dW
        b = b - lr * db
    return Path(*(np.array(column) for column in zip(*visited, strict=True)))
