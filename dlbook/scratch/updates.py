"""What each optimizer does in one step, as it is derived: arrays in, new arrays out.

``dlbook.scratch.optimizers`` computes the same in place and over all parameters at once; a test
holds the two equal.
"""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, check_arrays

__all__ = ["adagrad_update", "adam_update", "adamw_update", "rmsprop_update", "sgd_update"]


def sgd_update(
    w: Array,
    g: Array,
    v: Array,
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> tuple[Array, Array]:
    """Make one step of stochastic gradient descent.

    g ← g + λ w, v ← μ v + g, and w ← w − η v, or with Nesterov's momentum w ← w − η (g + μ v)

    Parameters
    ----------
    w : ndarray of shape (...)
        A parameter.
    g : ndarray of shape (...)
        Its gradient.
    v : ndarray of shape (...)
        Its velocity, 0 before the first step.
    lr : float
        Learning rate η, per step.
    momentum : float, default 0.0
        How much of the velocity is kept, μ.
    nesterov : bool, default False
        Whether the step looks ahead along the velocity.
    weight_decay : float, default 0.0
        λ, the slope of an L2 penalty ½ λ w² over w.

    Returns
    -------
    w : ndarray of shape (...)
        The parameter after the step.
    v : ndarray of shape (...)
        The velocity after the step.

    Raises
    ------
    ValueError, TypeError
        If the arrays differ in shape or dtype, or do not hold floats; the message gives both.

    Examples
    --------
    >>> w, v = sgd_update(np.ones(1), np.full(1, 2.0), np.zeros(1), lr=0.1)
    >>> w, v
    (array([0.8]), array([2.]))
    """
    check_arrays(w=(w, "..."), g=(g, "..."), v=(v, "..."))
    g = g + weight_decay * w
    v = momentum * v + g
    if nesterov:
        return w - lr * (g + momentum * v), v
    return w - lr * v, v


def adagrad_update(
    w: Array, g: Array, s: Array, *, lr: float, eps: float = 1e-10, weight_decay: float = 0.0
) -> tuple[Array, Array]:
    """Make one step of Adagrad.

    g ← g + λ w, s ← s + g², and w ← w − η g / (√s + ε)

    Parameters
    ----------
    w : ndarray of shape (...)
        A parameter.
    g : ndarray of shape (...)
        Its gradient.
    s : ndarray of shape (...)
        The sum of the squares of its gradients, 0 before the first step.
    lr : float
        Learning rate η, per step.
    eps : float, default 1e-10
        ε, keeps the quotient finite.
    weight_decay : float, default 0.0
        λ, the slope of an L2 penalty ½ λ w² over w.

    Returns
    -------
    w : ndarray of shape (...)
        The parameter after the step.
    s : ndarray of shape (...)
        The sum after the step.

    Raises
    ------
    ValueError, TypeError
        As ``sgd_update``.

    Examples
    --------
    >>> adagrad_update(np.ones(1), np.full(1, 2.0), np.zeros(1), lr=0.1)
    (array([0.9]), array([4.]))
    """
    check_arrays(w=(w, "..."), g=(g, "..."), s=(s, "..."))
    g = g + weight_decay * w
    s = s + g**2
    return w - lr * g / (np.sqrt(s) + eps), s


def rmsprop_update(
    w: Array,
    g: Array,
    v: Array,
    u: Array,
    *,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
) -> tuple[Array, Array, Array]:
    """Make one step of RMSprop.

    g ← g + λ w, v ← α v + (1 − α) g², u ← μ u + g / (√v + ε), and w ← w − η u

    Parameters
    ----------
    w : ndarray of shape (...)
        A parameter.
    g : ndarray of shape (...)
        Its gradient.
    v : ndarray of shape (...)
        The running mean of g², 0 before the first step.
    u : ndarray of shape (...)
        Its velocity, 0 before the first step.
    lr : float
        Learning rate η, per step.
    alpha : float, default 0.99
        How much of the mean is kept, α.
    eps : float, default 1e-8
        ε, keeps the quotient finite.
    weight_decay : float, default 0.0
        λ, the slope of an L2 penalty ½ λ w² over w.
    momentum : float, default 0.0
        How much of the velocity is kept, μ.

    Returns
    -------
    w : ndarray of shape (...)
        The parameter after the step.
    v : ndarray of shape (...)
        The running mean after the step.
    u : ndarray of shape (...)
        The velocity after the step.

    Raises
    ------
    ValueError, TypeError
        As ``sgd_update``.

    Examples
    --------
    >>> w, v, u = rmsprop_update(np.ones(1), np.full(1, 2.0), np.zeros(1), np.zeros(1), lr=0.01)
    >>> w, v, u
    (array([0.9]), array([0.04]), array([10.]))
    """
    check_arrays(w=(w, "..."), g=(g, "..."), v=(v, "..."), u=(u, "..."))
    g = g + weight_decay * w
    v = alpha * v + (1 - alpha) * g**2
    u = momentum * u + g / (np.sqrt(v) + eps)
    return w - lr * u, v, u


def adam_update(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    t: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[Array, Array, Array]:
    """Make one step of Adam.

    g ← g + λ w, m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², m̂ = m / (1 − β₁ᵗ),
    v̂ = v / (1 − β₂ᵗ), and w ← w − η m̂ / (√v̂ + ε)

    Parameters
    ----------
    w : ndarray of shape (...)
        A parameter.
    g : ndarray of shape (...)
        Its gradient.
    m : ndarray of shape (...)
        The running mean of g, 0 before the first step.
    v : ndarray of shape (...)
        The running mean of g², 0 before the first step.
    t : int
        The number of the step, 1 for the first.
    lr : float, default 1e-3
        Learning rate η, per step.
    betas : tuple of float, default (0.9, 0.999)
        How much of each mean is kept, β₁ and β₂.
    eps : float, default 1e-8
        ε, keeps the quotient finite.
    weight_decay : float, default 0.0
        λ, the slope of an L2 penalty ½ λ w² over w.

    Returns
    -------
    w : ndarray of shape (...)
        The parameter after the step.
    m : ndarray of shape (...)
        The running mean of g after the step.
    v : ndarray of shape (...)
        The running mean of g² after the step.

    Raises
    ------
    ValueError, TypeError
        As ``sgd_update``.

    Examples
    --------
    >>> w, m, v = adam_update(np.ones(1), np.full(1, 2.0), np.zeros(1), np.zeros(1), t=1, lr=0.1)
    >>> w, m, v
    (array([0.9]), array([0.2]), array([0.004]))
    """
    check_arrays(w=(w, "..."), g=(g, "..."), m=(m, "..."), v=(v, "..."))
    beta1, beta2 = betas
    g = g + weight_decay * w
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def adamw_update(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    t: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> tuple[Array, Array, Array]:
    """Make one step of AdamW.

    w ← w − η λ w, then the step of Adam

    Parameters
    ----------
    w : ndarray of shape (...)
        A parameter.
    g : ndarray of shape (...)
        Its gradient.
    m : ndarray of shape (...)
        The running mean of g, 0 before the first step.
    v : ndarray of shape (...)
        The running mean of g², 0 before the first step.
    t : int
        The number of the step, 1 for the first.
    lr : float, default 1e-3
        Learning rate η, per step.
    betas : tuple of float, default (0.9, 0.999)
        How much of each mean is kept, β₁ and β₂.
    eps : float, default 1e-8
        ε, keeps the quotient finite.
    weight_decay : float, default 1e-2
        λ: the share of w that is lost in a step is η λ.

    Returns
    -------
    w : ndarray of shape (...)
        The parameter after the step.
    m : ndarray of shape (...)
        The running mean of g after the step.
    v : ndarray of shape (...)
        The running mean of g² after the step.

    Raises
    ------
    ValueError, TypeError
        As ``sgd_update``.

    Examples
    --------
    >>> state = np.zeros(1), np.zeros(1)
    >>> adamw_update(np.ones(1), np.full(1, 2.0), *state, t=1, lr=0.1, weight_decay=0.5)[0]
    array([0.85])
    """
    check_arrays(w=(w, "..."), g=(g, "..."), m=(m, "..."), v=(v, "..."))
    w = w - lr * weight_decay * w
    return adam_update(w, g, m, v, t=t, lr=lr, betas=betas, eps=eps)
