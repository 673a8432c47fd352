"""The loss of yes and no."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.activations import sigmoid
from dlbook.scratch.checks import Array, check_arrays
from dlbook.scratch.losses.pairs import Loss, check_some

__all__ = [
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "binary_cross_entropy_with_logits_forward",
]


def binary_cross_entropy_with_logits_forward(
    Z: Array, Y: Array
) -> tuple[float, tuple[Array, Array]]:
    """Compute the mean binary cross-entropy of the probabilities σ(z).

    loss = −1/m Σ (y ln σ(z) + (1 − y) ln(1 − σ(z))) = 1/m Σ (max(z, 0) − z y + ln(1 + e^(−|z|)))

    Parameters
    ----------
    Z : ndarray of shape (...)
        Logits, usually (n, 1) or (n,).
    Y : ndarray of shape (...)
        Targets of the shape and dtype of Z: 1 for yes, 0 for no, or a probability between.

    Returns
    -------
    loss : float
        In nats; ln 2 ≈ 0.693 for a model that knows nothing.
    cache : tuple
        Z and Y themselves, not copies.

    Raises
    ------
    ValueError
        If the shapes differ, there is no entry, or a target is not between 0 and 1; the message
        gives what came.
    TypeError
        If Z and Y do not hold floats of one dtype; the message gives what they hold.

    Notes
    -----
    Takes logits, never probabilities: a sigmoid before this loss would be applied twice. The second
    form is the first one rearranged so that nothing overflows and no logarithm of 0 is taken.
    ``torch.nn.BCEWithLogitsLoss`` is the same.

    Examples
    --------
    >>> loss, cache = binary_cross_entropy_with_logits_forward(np.zeros((2, 1)), np.ones((2, 1)))
    >>> loss
    0.6931471805599453
    """
    check_arrays(Z=(Z, "..."), Y=(Y, "..."))
    check_some(Z)
    _check_probabilities(Y)
    losses = np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z)))  # (...)
    return float(np.mean(losses)), (Z, Y)


def binary_cross_entropy_with_logits_backward(cache: tuple[Array, Array]) -> Array:
    """Compute the gradient of the mean binary cross-entropy with respect to the logits.

    dZ = 1/m (σ(Z) − Y), where m is the number of entries

    Parameters
    ----------
    cache : tuple
        What ``binary_cross_entropy_with_logits_forward`` kept: Z and Y of one shape (...).

    Returns
    -------
    ndarray of shape (...)
        Derivative of the loss with respect to Z.

    Examples
    --------
    >>> loss, cache = binary_cross_entropy_with_logits_forward(np.zeros((2, 1)), np.ones((2, 1)))
    >>> binary_cross_entropy_with_logits_backward(cache)
    array([[-0.25],
           [-0.25]])
    """
    Z, Y = cache
    return (sigmoid(Z) - Y) / Z.size


binary_cross_entropy_with_logits: Loss = (
    binary_cross_entropy_with_logits_forward,
    binary_cross_entropy_with_logits_backward,
)


def _check_probabilities(Y: Array) -> None:
    if not (Y.min() >= 0 and Y.max() <= 1):
        raise ValueError(
            f"expected targets from 0 to 1, got from {Y.min()} to {Y.max()}: "
            "class 1 is the target 1, class 0 the target 0"
        )
