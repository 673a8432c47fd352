"""Optimizers: how a step is made of a gradient. Parameters, and nothing else, change in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from dlbook.scratch.checks import Array, check_gradients, check_number, check_parameters

__all__ = ["SGD", "Adam", "Optimizer"]


class Optimizer(Protocol):
    """What ``fit`` needs of an optimizer.

    Attributes
    ----------
    parameters : list of ndarray
        The arrays that it changes.
    lr : float
        Learning rate, per step; it may be changed between steps.
    """

    parameters: list[Array]
    lr: float

    def step(self, gradients: Sequence[Array]) -> None:
        """Change every parameter in place, given its gradient.

        Parameters
        ----------
        gradients : list of ndarray
            Derivatives of the loss, one for each parameter and in the same order.
        """


class SGD:
    """Stochastic gradient descent, with momentum if asked for.

    v ← μ v + g, then w ← w − η v

    Parameters
    ----------
    parameters : iterable of ndarray
        The arrays to change.
    lr : float
        Learning rate η, per step.
    momentum : float, default 0.0
        How much of the last velocity is kept, μ, from 0 up and below 1.

    Raises
    ------
    ValueError
        If there is no parameter, one cannot be written to, or ``lr`` or ``momentum`` is out of
        range; the message gives what came.
    TypeError
        If a parameter is not an array of floats, or ``lr`` or ``momentum`` not a number.

    Notes
    -----
    As in ``torch.optim.SGD`` the rate stands outside the velocity, which starts at 0: with a
    constant gradient the steps grow towards η g / (1 − μ).

    Examples
    --------
    >>> w = np.array([1.0])
    >>> optimizer = SGD([w], lr=0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.step([np.array([2.0])])
    >>> w
    array([0.5])
    """

    def __init__(self, parameters: Iterable[Array], lr: float, momentum: float = 0.0) -> None:
        self.parameters = check_parameters(parameters)
        check_number("lr", lr, 0)
        check_number("momentum", momentum, 0, 1)
        self.lr = lr
        self.momentum = momentum
        self.velocities = [np.zeros_like(w) for w in self.parameters]

    def step(self, gradients: Sequence[Array]) -> None:
        """Change every parameter in place, given its gradient.

        Parameters
        ----------
        gradients : list of ndarray
            Derivatives of the loss, one for each parameter and in the same order.

        Raises
        ------
        ValueError
            If their number or a shape differs from the parameters'; the message gives both.
        TypeError
            If a gradient is not an array of its parameter's dtype.
        """
        check_gradients(gradients, self.parameters)
        for w, g, v in zip(self.parameters, gradients, self.velocities, strict=True):
            v *= self.momentum
            v += g
            w -= self.lr * v


class Adam:
    """Adam: steps of about the size of the rate, whatever the size of the gradient.

    m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g², corrected for their start at 0 as
    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ); then w ← w − η m̂ / (√v̂ + ε)

    Parameters
    ----------
    parameters : iterable of ndarray
        The arrays to change.
    lr : float, default 1e-3
        Learning rate η, per step.
    betas : tuple of float, default (0.9, 0.999)
        How much of the last mean of g and of g² is kept, each from 0 up and below 1.
    eps : float, default 1e-8
        Keeps the quotient finite where the gradient has been 0; above 0.

    Raises
    ------
    ValueError
        If there is no parameter, one cannot be written to, or a number is out of range; the
        message gives what came.
    TypeError
        If a parameter is not an array of floats, or a number not a number.

    Notes
    -----
    ε stands outside the root and is added after the correction, as in ``torch.optim.Adam``.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.

    Examples
    --------
    >>> w = np.array([1.0, 1.0])
    >>> Adam([w], lr=0.1).step([np.array([2.0, -200.0])])
    >>> w
    array([0.9, 1.1])
    """

    def __init__(
        self,
        parameters: Iterable[Array],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.parameters = check_parameters(parameters)
        check_number("lr", lr, 0)
        for i, beta in enumerate(betas):
            check_number(f"betas[{i}]", beta, 0, 1)
        check_number("eps", eps, np.finfo(np.float64).tiny)
        self.lr = lr
        self.betas = betas
        self.eps = eps
        self.steps = 0
        self.means = [np.zeros_like(w) for w in self.parameters]
        self.squares = [np.zeros_like(w) for w in self.parameters]

    def step(self, gradients: Sequence[Array]) -> None:
        """Change every parameter in place, given its gradient.

        Parameters
        ----------
        gradients : list of ndarray
            Derivatives of the loss, one for each parameter and in the same order.

        Raises
        ------
        ValueError
            If their number or a shape differs from the parameters'; the message gives both.
        TypeError
            If a gradient is not an array of its parameter's dtype.
        """
        check_gradients(gradients, self.parameters)
        self.steps += 1
        beta1, beta2 = self.betas
        for w, g, m, v in zip(self.parameters, gradients, self.means, self.squares, strict=True):
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * g**2
            m_hat = m / (1 - beta1**self.steps)
            v_hat = v / (1 - beta2**self.steps)
            w -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
