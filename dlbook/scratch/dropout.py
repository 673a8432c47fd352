"""Dropout: in training, numbers are left out at random."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, check_arrays, check_generator, check_number

__all__ = ["dropout_backward", "dropout_forward"]


def dropout_forward(
    X: Array, *, p: float = 0.5, rng: np.random.Generator, training: bool = True
) -> tuple[Array, Array]:
    """Set every number to 0 with probability p, and enlarge those that stay.

    Z = M ∘ X, where M_ij = 0 with probability p and 1 / (1 − p) otherwise

    Parameters
    ----------
    X : ndarray of shape (...)
        Activations, of any shape.
    p : float, default 0.5
        The probability of being left out, from 0 up and below 1.
    rng : Generator
        Draws what is left out, anew in every call.
    training : bool, default True
        Whether to leave anything out; otherwise M is 1 everywhere, and nothing is drawn.

    Returns
    -------
    Z : ndarray of shape (...)
        What is left.
    cache : ndarray of shape (...)
        The mask M.

    Raises
    ------
    ValueError
        If ``p`` is out of range; the message gives it.
    TypeError
        If X does not hold floats, or ``rng`` is not a Generator; the message gives what came.

    Notes
    -----
    The mean of Z over all masks is X, because of the factor 1 / (1 − p): hence nothing has to be
    scaled once training is over. This is called inverted dropout; ``torch.nn.Dropout`` does the
    same, and allows p = 1.

    References
    ----------
    N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    Journal of Machine Learning Research 15, 2014, sections 4 and 10.

    Examples
    --------
    >>> Z, mask = dropout_forward(np.full(6, 5.0), p=0.5, rng=np.random.default_rng(0))
    >>> Z
    array([10.,  0.,  0.,  0., 10., 10.])
    """
    check_number("p", p, 0, 1)
    check_generator(rng)
    check_arrays(X=(X, "..."))
    M = np.ones_like(X)
    if training:
        M = (rng.random(X.shape) >= p).astype(X.dtype) / (1 - p)
    return M * X, M


def dropout_backward(dZ: Array, cache: Array) -> Array:
    """Carry the gradient of the loss back to the numbers that were not left out.

    dX = M ∘ dZ

    Parameters
    ----------
    dZ : ndarray of shape (...)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : ndarray of shape (...)
        What ``dropout_forward`` returned: the mask M.

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to X.

    Raises
    ------
    ValueError
        If the shape of dZ is not that of Z; the message gives both.
    TypeError
        If dZ does not hold floats of the dtype of X; the message gives what it holds.

    Examples
    --------
    >>> dropout_backward(np.array([3.0, 3.0]), cache=np.array([2.0, 0.0]))
    array([6., 0.])
    """
    M = cache
    check_arrays(M=(M, "..."), dZ=(dZ, "..."))
    return M * dZ
