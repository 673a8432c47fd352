"""The gains of activations."""

from __future__ import annotations

import math

from dlbook.scratch.checks import check_number

__all__ = ["calculate_gain"]


def calculate_gain(activation: str, *, negative_slope: float = 0.01) -> float:
    """Return how much wider weights must start for what an activation takes from the signal.

    g = 1 for linear and sigmoid, 5/3 for tanh, √2 for ReLU, √(2 / (1 + s²)) for leaky ReLU

    Parameters
    ----------
    activation : {"linear", "sigmoid", "tanh", "relu", "leaky_relu"}
        What follows the layer.
    negative_slope : float, default 0.01
        s, the slope of leaky ReLU below 0.

    Returns
    -------
    float
        The factor g of the standard deviation.

    Raises
    ------
    ValueError
        If there is no gain for ``activation``, or ``negative_slope`` is negative or not finite;
        the message gives what came.
    TypeError
        If ``negative_slope`` is no number; the message gives what came.

    Notes
    -----
    ``torch.nn.init.calculate_gain`` gives the same. The gains of ReLU and leaky ReLU keep the mean
    square of the signal; the 5/3 of tanh is a rule of thumb.

    References
    ----------
    K. He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.2.

    Examples
    --------
    >>> calculate_gain("tanh"), calculate_gain("relu")
    (1.6667, 1.4142)
    """
    check_number("negative_slope", negative_slope, 0)
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + negative_slope**2)),
    }
    if not isinstance(activation, str) or activation not in gains:
        raise ValueError(f"expected an activation of {', '.join(gains)}, got {activation!r}")
    return gains[activation]
