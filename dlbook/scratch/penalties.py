"""The L2 penalty, which is added to the loss to keep weights small."""

from __future__ import annotations

from dlbook.scratch.checks import Array, check_arrays, check_number

__all__ = ["l2_penalty_backward", "l2_penalty_forward"]


def l2_penalty_forward(W: Array, *, weight_decay: float) -> tuple[float, tuple[Array, float]]:
    """Charge for the squares of the weights.

    loss = (λ/2) Σ_ij W_ij²

    Parameters
    ----------
    W : ndarray of shape (...)
        Weights, of any shape.
    weight_decay : float
        What a square costs, λ, in nats if the loss is in nats; from 0 up.

    Returns
    -------
    loss : float
        To be added to the loss of the examples.
    cache : tuple
        W itself, and λ.

    Raises
    ------
    ValueError
        If there is no weight, or ``weight_decay`` is below 0; the message gives what came.
    TypeError
        If W does not hold floats, or ``weight_decay`` is not a number; the message gives what
        came.

    Notes
    -----
    A sum, not a mean, and with the ½ that makes its gradient λ W: with plain gradient descent it
    is the same as ``weight_decay`` of ``torch.optim.SGD``.

    Examples
    --------
    >>> import numpy as np
    >>> l2_penalty_forward(np.array([[3.0, -4.0]]), weight_decay=0.1)[0]
    1.25
    """
    check_number("weight_decay", weight_decay, 0)
    check_arrays(W=(W, "..."))
    if not W.size:
        raise ValueError(f"expected at least one entry, got W of shape {W.shape}")
    return float(weight_decay / 2 * (W**2).sum()), (W, weight_decay)


def l2_penalty_backward(cache: tuple[Array, float]) -> Array:
    """Differentiate the L2 penalty.

    dW = λ W

    Parameters
    ----------
    cache : tuple
        What ``l2_penalty_forward`` returned.

    Returns
    -------
    ndarray of shape (...)
        Derivative of the penalty with respect to W, to be added to that of the loss.

    Examples
    --------
    >>> import numpy as np
    >>> l2_penalty_backward((np.array([[3.0, -4.0]]), 0.1))
    array([[ 0.3, -0.4]])
    """
    W, weight_decay = cache
    return weight_decay * W
