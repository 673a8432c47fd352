"""Optimizers: how a step is made of a gradient. Parameters, and nothing else, change in place.

Each class computes what the function of ``dlbook.scratch.updates`` of its name derives, over all
parameters at once and without making new arrays; a test holds the two equal. Names, defaults and
meaning are those of ``torch.optim``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from dlbook.scratch.blocks import cut
from dlbook.scratch.checks import Array, check_gradients, check_number, check_parameters

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]

TINY = float(np.finfo(np.float64).tiny)


class Optimizer:
    """What every optimizer does; each kind says in ``_change`` what it subtracts.

    Parameters
    ----------
    parameters : iterable of ndarray
        The arrays to change.
    lr : float
        Learning rate, per step; it may be changed between steps.
    weight_decay : float
        How much of each parameter is added to its gradient: the slope of an L2 penalty.
    states : int
        How many numbers are remembered of each number.

    Attributes
    ----------
    parameters : list of ndarray
        The arrays that it changes.
    lr : float
        Learning rate, per step.
    steps : int
        The steps made.
    """

    def __init__(
        self, parameters: Iterable[Array], lr: float, weight_decay: float, states: int
    ) -> None:
        self.parameters = check_parameters(parameters)
        check_number("lr", lr, 0)
        check_number("weight_decay", weight_decay, 0)
        self.lr = lr
        self.weight_decay = weight_decay
        self.steps = 0
        self._blocks = cut(self.parameters, states=states)
        largest = max(block.size for block in self._blocks)
        self._room = {w.dtype: np.empty((3, largest), w.dtype) for w in self.parameters}

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
        for block in self._blocks:
            room, for_g, for_w = self._room[block.dtype]
            g = block.gather(gradients, out=for_g)
            if self.weight_decay:
                w = block.gather(self.parameters, out=for_w)
                g = self._decayed(g, w, for_w[: block.size])
            change = self._change(g, room[: block.size], *block.states)
            block.subtract(change, self.parameters)

    def _decayed(self, g: Array, w: Array, room: Array) -> Array:
        decay = np.multiply(w, float(self.weight_decay), out=room)
        return np.add(g, decay, out=room)

    def _change(self, g: Array, room: Array, *states: Array) -> Array:
        """Return what to subtract; ``room`` may be written over, states are brought on.

        Numbers are made ``float``: a NumPy number of higher precision would make arrays of it.
        """
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    v ← μ v + g, then w ← w − η v; with Nesterov's momentum w ← w − η (g + μ v)

    Parameters
    ----------
    parameters : iterable of ndarray
        The arrays to change.
    lr : float, default 1e-3
        Learning rate η, per step.
    momentum : float, default 0.0
        How much of the last velocity is kept, μ, from 0 up and below 1.
    nesterov : bool, default False
        Whether a step looks ahead along the velocity.
    weight_decay : float, default 0.0
        λ: the gradient used is g + λ w, that of an L2 penalty ½ λ w².

    Raises
    ------
    ValueError
        If there is no parameter, one cannot be written to, or a number is out of range; the
        message gives what came.
    TypeError
        If a parameter is not an array of floats, or a number not a number.

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

    def __init__(
        self,
        parameters: Iterable[Array],
        lr: float = 1e-3,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        check_number("momentum", momentum, 0, 1)
        if nesterov and not momentum:
            raise ValueError("expected a momentum above 0 with nesterov=True, got 0")
        super().__init__(parameters, lr, weight_decay, states=1 if momentum else 0)
        self.momentum = momentum
        self.nesterov = nesterov

    def _change(self, g: Array, room: Array, *states: Array) -> Array:
        for v in states:
            v *= float(self.momentum)
            v += g
            if self.nesterov:
                np.multiply(v, float(self.momentum), out=room)
                g = np.add(g, room, out=room)
            else:
                g = v
        return np.multiply(g, float(self.lr), out=room)


class Adagrad(Optimizer):
    """Adagrad: each number's steps shrink with all the gradients it has seen.

    s ← s + g², then w ← w − η g / (√s + ε)

    Parameters
    ----------
    parameters : iterable of ndarray
        The arrays to change.
    lr : float, default 1e-2
        Learning rate η, per step.
    eps : float, default 1e-10
        Keeps the quotient finite where the gradient has been 0; above 0.
    weight_decay : float, default 0.0
        λ: the gradient used is g + λ w, that of an L2 penalty ½ λ w².

    Raises
    ------
    ValueError, TypeError
        As ``SGD``.

    References
    ----------
    J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization", JMLR 12, 2011, section 1.

    Examples
    --------
    >>> w = np.array([1.0])
    >>> Adagrad([w], lr=0.1).step([np.array([200.0])])
    >>> w
    array([0.9])
    """

    def __init__(
        self,
        parameters: Iterable[Array],
        lr: float = 1e-2,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ) -> None:
        check_number("eps", eps, TINY)
        super().__init__(parameters, lr, weight_decay, states=1)
        self.eps = eps

    def _change(self, g: Array, room: Array, *states: Array) -> Array:
        (s,) = states
        s += np.square(g, out=room)
        root = np.sqrt(s, out=room)
        root += float(self.eps)
        change = np.divide(g, root, out=room)
        change *= float(self.lr)
        return change


class RMSprop(Optimizer):
    """RMSprop: the gradient over the root of its running mean square.

    v ← α v + (1 − α) g², then w ← w − η g / (√v + ε); with momentum u ← μ u + g / (√v + ε), then
    w ← w − η u

    Parameters
    ----------
    parameters : iterable of ndarray
        The arrays to change.
    lr : float, default 1e-2
        Learning rate η, per step.
    alpha : float, default 0.99
        How much of the last mean of g² is kept, α, from 0 up and below 1.
    eps : float, default 1e-8
        Keeps the quotient finite where the gradient has been 0; above 0.
    weight_decay : float, default 0.0
        λ: the gradient used is g + λ w, that of an L2 penalty ½ λ w².
    momentum : float, default 0.0
        How much of the last velocity is kept, μ, from 0 up and below 1.

    Raises
    ------
    ValueError, TypeError
        As ``SGD``.

    Notes
    -----
    As in ``torch.optim.RMSprop`` ε stands outside the root, and the mean, which starts at 0, is not
    corrected for it: the first steps are up to 1 / √(1 − α), ten times, as large as the rate.

    References
    ----------
    T. Tieleman and G. Hinton, "Neural Networks for Machine Learning", Coursera 2012, lecture 6.5.

    Examples
    --------
    >>> w = np.array([1.0])
    >>> RMSprop([w], lr=0.01).step([np.array([200.0])])
    >>> w
    array([0.9])
    """

    def __init__(
        self,
        parameters: Iterable[Array],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        check_number("alpha", alpha, 0, 1)
        check_number("eps", eps, TINY)
        check_number("momentum", momentum, 0, 1)
        super().__init__(parameters, lr, weight_decay, states=2 if momentum else 1)
        self.alpha = alpha
        self.eps = eps
        self.momentum = momentum

    def _change(self, g: Array, room: Array, *states: Array) -> Array:
        v, *velocity = states
        np.square(g, out=room)
        room *= 1 - float(self.alpha)
        v *= float(self.alpha)
        v += room
        root = np.sqrt(v, out=room)
        root += float(self.eps)
        g = np.divide(g, root, out=room)
        for u in velocity:
            u *= float(self.momentum)
            u += g
            g = u
        return np.multiply(g, float(self.lr), out=room)


class Adam(Optimizer):
    """Adam: steps of about the size of the rate, whatever the size of the gradient.

    m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g², corrected for their start at 0 as
    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ); then w ← w − η m̂ / (√v̂ + ε)

    The code keeps M = m / (1 − β₁) and V = v / (1 − β₂), sums without their factors, which spares
    two passes over all numbers. With c = √((1 − β₂) / (1 − β₂ᵗ)), √v̂ is c √V, and the step is
    η (1 − β₁) / (1 − β₁ᵗ) / c · M / (√V + ε / c).

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
    weight_decay : float, default 0.0
        λ: the gradient used is g + λ w, that of an L2 penalty ½ λ w².

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
        weight_decay: float = 0.0,
    ) -> None:
        for i, beta in enumerate(betas):
            check_number(f"betas[{i}]", beta, 0, 1)
        check_number("eps", eps, TINY)
        super().__init__(parameters, lr, weight_decay, states=2)
        self.betas = betas
        self.eps = eps

    def _change(self, g: Array, room: Array, *states: Array) -> Array:
        M, V = states
        beta1, beta2 = map(float, self.betas)
        M *= beta1
        M += g
        V *= beta2
        V += np.square(g, out=room)
        c = math.sqrt((1 - beta2) / (1 - beta2**self.steps))
        root = np.sqrt(V, out=room)
        root += self.eps / c
        change = np.divide(M, root, out=room)
        change *= float(self.lr) * (1 - beta1) / (1 - beta1**self.steps) / c
        return change


class AdamW(Adam):
    """Adam with decoupled weight decay: parameters shrink beside the step, not through it.

    w ← w − η λ w, then the step of Adam

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
    weight_decay : float, default 1e-2
        λ: the share of each parameter that is lost in a step is η λ.

    Raises
    ------
    ValueError, TypeError
        As ``Adam``.

    References
    ----------
    I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.

    Examples
    --------
    >>> w = np.array([1.0])
    >>> AdamW([w], lr=0.1, weight_decay=0.5).step([np.array([2.0])])
    >>> w
    array([0.85])
    """

    def __init__(
        self,
        parameters: Iterable[Array],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def step(self, gradients: Sequence[Array]) -> None:
        """Shrink the parameters, then change them as Adam does.

        Parameters
        ----------
        gradients : list of ndarray
            Derivatives of the loss, one for each parameter and in the same order.

        Raises
        ------
        ValueError, TypeError
            As ``Adam.step``.
        """
        check_gradients(gradients, self.parameters)
        for w in self.parameters:
            w *= 1 - float(self.lr) * float(self.weight_decay)
        super().step(gradients)

    def _decayed(self, g: Array, w: Array, room: Array) -> Array:  # noqa: ARG002  # as Optimizer
        """Leave the gradient alone: the parameters have shrunk."""
        return g
