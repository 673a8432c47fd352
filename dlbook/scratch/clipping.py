"""Gradient clipping: a bound on how far one batch can push, by the norm of all or number by number.

Gradients are not changed: the clipped ones are returned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dlbook.scratch.checks import Array, check_arrays, check_number

__all__ = ["clip_by_norm", "clip_by_value"]

TINY = float(np.finfo(np.float64).tiny)


def clip_by_norm(gradients: Sequence[Array], max_norm: float) -> tuple[list[Array], float]:
    """Scale all gradients together, so that their joint length is at most ``max_norm``.

    ‖g‖ = √(Σ g²) over all numbers of all gradients; g ← min(1, c / (‖g‖ + 10⁻⁶)) g

    Parameters
    ----------
    gradients : list of ndarray
        Derivatives of the loss, one for each parameter.
    max_norm : float
        The greatest length c; above 0.

    Returns
    -------
    gradients : list of ndarray
        The scaled gradients, in the same direction.
    norm : float
        The length before clipping.

    Raises
    ------
    ValueError
        If there is no gradient, or ``max_norm`` is not above 0; the message gives what came.
    TypeError
        If a gradient is not an array of floats, or ``max_norm`` not a number.

    Notes
    -----
    The same as ``torch.nn.utils.clip_grad_norm_``, which changes the gradients in place and adds
    10⁻⁶ to the norm likewise.

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, "On the Difficulty of Training Recurrent Neural Networks",
    ICML 2013, section 3.2.

    Examples
    --------
    >>> clipped, norm = clip_by_norm([np.array([3.0]), np.array([4.0])], max_norm=1.0)
    >>> clipped, norm
    ([array([0.6]), array([0.8])], 5.0)
    """
    _check(gradients)
    check_number("max_norm", max_norm, TINY)
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients))
    scale = min(1.0, float(max_norm) / (norm + 1e-6))
    return [scale * g for g in gradients], norm


def clip_by_value(gradients: Sequence[Array], clip_value: float) -> list[Array]:
    """Cut every number of every gradient off at ``clip_value`` and at −``clip_value``.

    g ← min(max(g, −c), c)

    Parameters
    ----------
    gradients : list of ndarray
        Derivatives of the loss, one for each parameter.
    clip_value : float
        The greatest size c; above 0.

    Returns
    -------
    list of ndarray
        The clipped gradients; their direction may differ.

    Raises
    ------
    ValueError
        If there is no gradient, or ``clip_value`` is not above 0; the message gives what came.
    TypeError
        If a gradient is not an array of floats, or ``clip_value`` not a number.

    Notes
    -----
    The same as ``torch.nn.utils.clip_grad_value_``, which changes the gradients in place.

    Examples
    --------
    >>> clip_by_value([np.array([-3.0, 0.5])], clip_value=1.0)
    [array([-1. ,  0.5])]
    """
    _check(gradients)
    check_number("clip_value", clip_value, TINY)
    return [np.clip(g, -float(clip_value), float(clip_value)) for g in gradients]


def _check(gradients: Sequence[Array]) -> None:
    if not gradients:
        raise ValueError("expected at least one gradient, got none: run the backward pass first")
    for i, gradient in enumerate(gradients):
        check_arrays(**{f"gradients[{i}]": (gradient, "...")})
