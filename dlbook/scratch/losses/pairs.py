"""What all losses share: the form of a pair, its options, and what no mean can be taken of."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from dlbook.scratch.checks import Array

__all__ = ["Loss", "check_reduction", "check_some", "with_options"]

Loss = tuple[Callable[[Array, Any], tuple[float, Any]], Callable[[Any], Array]]


def with_options(loss: Loss, *, reduction: str = "mean", **options: Any) -> Loss:
    """Return a loss with its options set, as the pair that ``fit`` takes.

    For a sum, loss = m · mean and dZ = m · dZ of the mean, where m is what the mean divides by

    Parameters
    ----------
    loss : tuple of callable
        The pair (forward, backward) of a loss, such as ``huber``.
    reduction : {"mean", "sum"}
        Whether the losses of the entries, or of the rows of ``cross_entropy``, are averaged or
        added up.
    **options : Any
        Keyword options of the forward function, such as ``delta`` of ``huber``.

    Returns
    -------
    tuple of callable
        The pair (forward, backward).

    Raises
    ------
    ValueError
        If ``reduction`` is neither "mean" nor "sum"; the message gives it.
    TypeError
        If the loss has no such option; the message gives those it has.

    Notes
    -----
    ``reduction`` has PyTorch's meaning. The gradient of a sum grows with the batch, and so does
    the step of an optimizer: divide the rate, or keep to the mean. ``fit`` records what the loss
    returns for a batch, averaged by the number of examples: for sums, that of whole batches.

    Examples
    --------
    >>> import numpy as np
    >>> from dlbook.scratch.losses import mse
    >>> forward, backward = with_options(mse, reduction="sum")
    >>> loss, cache = forward(np.array([[2.0], [5.0]]), np.array([[1.0], [2.0]]))
    >>> loss, backward(cache).ravel()
    (10.0, array([2., 6.]))
    """
    check_reduction(reduction)
    forward, backward = loss
    known = inspect.signature(forward).parameters.values()
    names = [parameter.name for parameter in known if parameter.kind is parameter.KEYWORD_ONLY]
    for name in options:
        if name not in names:
            there = ", ".join(sorted({*names, "reduction"}))
            raise TypeError(f"expected options of {there}, got {name!r}")
    reduces = "reduction" in names
    if reduces:
        options["reduction"] = reduction
    forward = partial(forward, **options)
    if reduces or reduction == "mean":
        return forward, backward
    return partial(_sum_forward, forward), partial(_sum_backward, backward)


def _sum_forward(
    mean_forward: Callable[[Array, Any], tuple[float, Any]], Z: Array, Y: Any
) -> tuple[float, Any]:
    mean, cache = mean_forward(Z, Y)
    m = Y.size  # the entries of Z, or one label for each of its rows
    return m * mean, (cache, m)


def _sum_backward(mean_backward: Callable[[Any], Array], cache: tuple[Any, int]) -> Array:
    mean_cache, m = cache
    return m * mean_backward(mean_cache)


def check_reduction(reduction: str) -> None:
    """Refuse anything but "mean" and "sum".

    Parameters
    ----------
    reduction : str
        How the losses of a batch become one number.

    Raises
    ------
    ValueError
        If it is something else; the message gives it.

    Examples
    --------
    >>> check_reduction("none")
    Traceback (most recent call last):
    ValueError: expected a reduction of 'mean' or 'sum', got 'none'
    """
    if not isinstance(reduction, str) or reduction not in ("mean", "sum"):
        raise ValueError(f"expected a reduction of 'mean' or 'sum', got {reduction!r}")


def check_some(Z: Array) -> None:
    """Refuse an array without entries, over which no mean can be taken.

    Parameters
    ----------
    Z : ndarray of shape (...)
        Outputs of a network.

    Raises
    ------
    ValueError
        If there is no entry; the message gives the shape.

    Examples
    --------
    >>> import numpy as np
    >>> check_some(np.zeros((0, 3)))
    Traceback (most recent call last):
    ValueError: expected at least one entry, since a mean over nothing has no value; got (0, 3)
    """
    if not Z.size:
        raise ValueError(
            f"expected at least one entry, since a mean over nothing has no value; got {Z.shape}"
        )
