"""Schedules: the learning rate as a function of the step.

Each function takes the number of the step, 0 for the first, and returns the rate of that step. Give
``fit`` one with its other numbers fixed::

    schedule = functools.partial(cosine, lr=0.1, T_max=1000)

Names, defaults and meaning are those of ``torch.optim.lr_scheduler``, whose schedulers are objects
that change the rate step by step; what they reach is written here in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from dlbook.scratch.checks import check_number, check_whole

__all__ = ["Schedule", "cosine", "exponential", "linear_warmup", "one_cycle", "step_decay"]

Schedule = Callable[[int], float]


def step_decay(t: int, *, lr: float, step_size: int, gamma: float = 0.1) -> float:
    """Multiply the rate by γ after every s steps.

    η(t) = η γ^⌊t / s⌋

    Parameters
    ----------
    t : int
        The number of the step, 0 for the first.
    lr : float
        The rate at the start, η.
    step_size : int
        Steps between two drops, s.
    gamma : float, default 0.1
        What the rate is multiplied by, γ.

    Returns
    -------
    float
        The rate of step t, as ``torch.optim.lr_scheduler.StepLR`` has it.

    Raises
    ------
    ValueError
        If a number is out of range; the message gives what came.
    TypeError
        If ``t`` or ``step_size`` is not a whole number, or another not a number.

    Examples
    --------
    >>> [step_decay(t, lr=1.0, step_size=2) for t in range(5)]
    [1.0, 1.0, 0.1, 0.1, 0.01]
    """
    _check(t, lr=lr, gamma=gamma)
    check_whole("step_size", step_size)
    return float(lr * gamma ** (t // step_size))


def exponential(t: int, *, lr: float, gamma: float) -> float:
    """Multiply the rate by γ after every step.

    η(t) = η γᵗ

    Parameters
    ----------
    t : int
        The number of the step, 0 for the first.
    lr : float
        The rate at the start, η.
    gamma : float
        What the rate is multiplied by, γ.

    Returns
    -------
    float
        The rate of step t, as ``torch.optim.lr_scheduler.ExponentialLR`` has it.

    Raises
    ------
    ValueError, TypeError
        As ``step_decay``.

    Examples
    --------
    >>> [exponential(t, lr=1.0, gamma=0.5) for t in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """
    _check(t, lr=lr, gamma=gamma)
    return float(lr * gamma**t)


def cosine(t: int, *, lr: float, T_max: int, eta_min: float = 0.0) -> float:
    """Let the rate fall along half a wave of the cosine, slowly at both ends.

    η(t) = η_min + (η − η_min) (1 + cos(π t / T)) / 2

    Parameters
    ----------
    t : int
        The number of the step, 0 for the first.
    lr : float
        The rate at the start, η.
    T_max : int
        The step at which the rate is lowest, T. After it the rate rises again along the wave.
    eta_min : float, default 0.0
        The lowest rate, η_min.

    Returns
    -------
    float
        The rate of step t, as ``torch.optim.lr_scheduler.CosineAnnealingLR`` has it.

    Raises
    ------
    ValueError, TypeError
        As ``step_decay``.

    References
    ----------
    I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    equation 5.

    Examples
    --------
    >>> [round(cosine(t, lr=1.0, T_max=4), 4) for t in range(5)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """
    _check(t, lr=lr, eta_min=eta_min)
    check_whole("T_max", T_max)
    return float(eta_min + (lr - eta_min) * (1 + math.cos(math.pi * t / T_max)) / 2)


def linear_warmup(t: int, *, lr: float, start_factor: float = 1 / 3, total_iters: int = 5) -> float:
    """Raise the rate in equal steps from a share of it to the whole, then keep it.

    η(t) = η (f + (1 − f) min(t, T) / T)

    Parameters
    ----------
    t : int
        The number of the step, 0 for the first.
    lr : float
        The rate from step T on, η.
    start_factor : float, default 1/3
        The share at the start, f.
    total_iters : int, default 5
        Steps until the whole rate is reached, T.

    Returns
    -------
    float
        The rate of step t, as ``torch.optim.lr_scheduler.LinearLR`` has it.

    Raises
    ------
    ValueError, TypeError
        As ``step_decay``.

    Examples
    --------
    >>> [linear_warmup(t, lr=1.0, start_factor=0.5, total_iters=2) for t in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """
    _check(t, lr=lr, start_factor=start_factor)
    check_whole("total_iters", total_iters)
    return float(lr * (start_factor + (1 - start_factor) * min(t, total_iters) / total_iters))


def one_cycle(
    t: int,
    *,
    max_lr: float,
    total_steps: int,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> float:
    """Raise the rate to its highest along half a wave of the cosine, then let it fall to almost 0.

    From a to b, where x runs from 0 to 1: h(a, b, x) = b + (a − b) (1 + cos(π x)) / 2; with the
    top at step p = ρ T − 1 and the end at T − 1, η(t) = h(η / d, η, t / p) up to p and
    h(η, η / (d f), (t − p) / (T − 1 − p)) after it

    Parameters
    ----------
    t : int
        The number of the step, 0 for the first.
    max_lr : float
        The highest rate, η.
    total_steps : int
        The steps of the whole run, T.
    pct_start : float, default 0.3
        The share of the steps that rise, ρ, from 0 to 1 (not in percent, whatever its name).
    div_factor : float, default 25.0
        d: the rate at the start is η / d.
    final_div_factor : float, default 1e4
        f: the rate at the end is η / (d f).

    Returns
    -------
    float
        The rate of step t, as ``torch.optim.lr_scheduler.OneCycleLR`` has it.

    Raises
    ------
    ValueError
        If a number is out of range, ``t`` is past the last step, or fewer than one step rises;
        the message gives what came.
    TypeError
        If ``t`` or ``total_steps`` is not a whole number, or another not a number.

    Notes
    -----
    PyTorch's scheduler also moves the momentum against the rate unless ``cycle_momentum=False``;
    this is the rate alone.

    References
    ----------
    L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates", arXiv:1708.07120, section 2.

    Examples
    --------
    >>> [round(one_cycle(t, max_lr=1.0, total_steps=10), 4) for t in (0, 2, 5, 9)]
    [0.04, 1.0, 0.6113, 0.0]
    """
    _check(t, max_lr=max_lr)
    check_whole("total_steps", total_steps)
    check_number("pct_start", pct_start, 0, 1)
    check_number("div_factor", div_factor, 1)
    check_number("final_div_factor", final_div_factor, 1)
    if t >= total_steps:
        raise ValueError(f"expected a step below total_steps = {total_steps}, got {t}")
    top = pct_start * total_steps - 1
    if top <= 0:
        raise ValueError(
            "expected pct_start * total_steps above 1, so that the rate has steps to rise in, "
            f"got {pct_start} * {total_steps}"
        )
    start, end = max_lr / div_factor, max_lr / (div_factor * final_div_factor)
    if t <= top:
        return _half_wave(start, max_lr, t / top)
    return _half_wave(max_lr, end, (t - top) / (total_steps - 1 - top))


def _half_wave(a: float, b: float, x: float) -> float:
    return float(b + (a - b) * (1 + math.cos(math.pi * x)) / 2)


def _check(t: int, **numbers: float) -> None:
    check_whole("t", t, least=0)
    for name, value in numbers.items():
        check_number(name, value, 0)
