"""The gradient check, which asks whether a backward pass is the derivative of its forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from dlbook.scratch.checks import Array, check_generator

__all__ = ["GradientError", "directional_derivative", "gradcheck"]


VANISHING = 1e-6
ALONG_RIGHT = "along a random direction the two sides agree, entry by entry they do not"
LOOKED_AT = 1000  # entries that are searched for the wrong one where not all are asked for


class GradientError(ValueError):
    """A backward pass that finite differences contradict."""


def directional_derivative(f: Callable[[float], float]) -> float:
    """Estimate f′(0) by central differences, and choose their step.

    (f(h) − f(−h)) / 2h errs by O(h²) because f is curved, and by O(ε/h) because floats are rounded.
    Two steps h and h/10 are combined so that the h² cancels. Going down the ladder of steps the
    estimates come closer together while curvature dominates, and part again once rounding does;
    the two neighbors that agree best are where to read.

    Parameters
    ----------
    f : callable
        A function of one float that returns a float.

    Returns
    -------
    float
        f′(0). Ten digits are usual for a smooth f of moderate curvature.

    References
    ----------
    W. H. Press et al., *Numerical Recipes*, 3rd edition, section 5.7, "Numerical Derivatives".

    Examples
    --------
    >>> directional_derivative(lambda t: np.exp(3 * t).item())
    3.0000000
    """
    steps = [10.0**-k for k in range(1, 7)]
    central = [(f(h) - f(-h)) / (2 * h) for h in steps]
    better = [(100 * fine - coarse) / 99 for coarse, fine in pairwise(central)]
    return min(pairwise(better), key=lambda pair: abs(pair[1] - pair[0]))[1]


def gradcheck(
    forward: Callable[..., tuple[Any, Any]],
    backward: Callable[..., Any],
    *arguments: Any,
    rng: np.random.Generator,
    tolerance: float = 1e-7,
    entrywise: bool = False,
) -> float:
    """Hold a backward pass against finite differences of its forward pass.

    For an argument x, its gradient G, a random direction V and a random upstream gradient D:
    Σ G ∘ V = d/dt Σ D ∘ forward(x + t V) at t = 0; entry by entry, V is 1 there and 0 elsewhere

    Parameters
    ----------
    forward : callable
        Takes the arguments, returns (output, cache); a loss returns a number as its output.
    backward : callable
        Takes (D, cache), or the cache alone if ``forward`` is a loss; returns the gradients of the
        first arguments, in their order: an array, or a tuple of arrays.
    *arguments : ndarray
        Where to check; float64 where a gradient is returned for them.
    rng : Generator
        Draws the upstream gradient and the directions.
    tolerance : float, default 1e-7
        The largest relative error allowed.
    entrywise : bool, default False
        Also check each entry by itself, with a dozen forward passes for each.

    Returns
    -------
    float
        The largest relative error found: |a − b| / max(|a|, |b|, 10⁻⁶) of the two sides. Without
        the 10⁻⁶ a gradient that has all but vanished could not be told from rounding. For an entry
        a and b in the divisor are the largest of their array.

    Raises
    ------
    GradientError
        If a relative error is above ``tolerance`` or a gradient has another shape than its
        argument; the message names the argument and gives both sides, and says how many entries
        are wrong, and which one most, and by how much. Of more than 1,000 entries it looks at 1,000
        random ones, unless ``entrywise`` is set.
    TypeError
        If an argument holds other floats than float64, or one that has a gradient holds none; the
        message gives what it is.

    Notes
    -----
    One direction tests all entries at once, with a dozen forward passes: a wrong entry goes unseen
    only if its error happens to be at right angles to V. D must not be constant: the outputs of
    softmax sum to 1, so that ones would hide any error.

    Examples
    --------
    >>> from dlbook.scratch.activations import sigmoid_backward, sigmoid_forward
    >>> rng = np.random.default_rng(0)
    >>> gradcheck(sigmoid_forward, sigmoid_backward, rng.normal(size=(4, 3)), rng=rng) < 1e-7
    True
    """
    check_generator(rng)
    names = _names(forward, len(arguments))
    for name, x in zip(names, arguments, strict=True):
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            _check_float64(name, x)
    output, cache = forward(*arguments)
    if np.ndim(output) == 0:  # a loss, which nothing follows
        upstream = np.ones(())
        gradients = backward(cache)
    else:
        upstream = rng.normal(size=output.shape)
        gradients = backward(upstream, cache)
    if not isinstance(gradients, tuple):
        gradients = (gradients,)

    errors = []
    for i, G in enumerate(gradients):
        x = arguments[i]
        _check_float64(names[i], x)
        _check_shape(names[i], x, G)
        V = rng.normal(size=x.shape)

        def slope(V: Array, i: int = i) -> float:
            def along(t: float) -> float:
                moved = (*arguments[:i], arguments[i] + t * V, *arguments[i + 1 :])
                return float(np.sum(upstream * (forward(*moved)[0] - output)))

            return directional_derivative(along)

        by_hand, measured = float(np.sum(G * V)), slope(V)
        error = abs(by_hand - measured) / max(abs(by_hand), abs(measured), VANISHING)
        errors.append(error)
        wrong = not error <= tolerance
        if wrong or entrywise:
            entries = _Entries(x, G, slope, rng, count=x.size if entrywise else LOOKED_AT)
            errors.append(entries.error)
            if wrong or entries.error > tolerance:
                how = _told(by_hand, measured, error, tolerance) if wrong else ALONG_RIGHT
                raise GradientError(
                    f"the gradient with respect to {names[i]} is wrong: {how}. "
                    + entries.told(names[i], tolerance)
                )
    return max(errors)


class _Entries:
    """The entries of a gradient, each by hand and by finite differences."""

    def __init__(
        self,
        x: Array,
        G: Array,
        slope: Callable[[Array], float],
        rng: np.random.Generator,
        count: int,
    ) -> None:
        self.total = x.size
        places = np.sort(rng.permutation(x.size)[:count])
        self.where = [tuple(map(int, np.unravel_index(place, x.shape))) for place in places]
        self.by_hand = np.array([G[place] for place in self.where])
        self.measured = np.array([slope(_one_at(place, x)) for place in self.where])
        both = np.abs([self.by_hand, self.measured])
        largest = both[np.isfinite(both)].max(initial=VANISHING)
        off = np.abs(self.by_hand - self.measured) / largest
        self.errors = np.where(np.isfinite(off), off, np.inf)
        self.error = float(self.errors.max(initial=0.0))

    def told(self, name: str, tolerance: float) -> str:
        """Say how many entries are wrong, which one most, and by how much."""
        wrong = int((self.errors > tolerance).sum())
        looked_at = len(self.where)
        sample = "" if looked_at == self.total else f" that were looked at, of {self.total},"
        if not wrong:
            return f"Of {looked_at} entries{sample} none is wrong by itself"
        worst = int(self.errors.argmax())
        place = ", ".join(map(str, self.where[worst]))
        return (
            f"Of {looked_at} entries{sample} {wrong} {'is' if wrong == 1 else 'are'} wrong, most "
            f"at {name}[{place}]: {self.by_hand[worst]:.9g} by the backward pass, "
            f"{self.measured[worst]:.9g} by finite differences"
        )


def _one_at(place: tuple[int, ...], x: Array) -> Array:
    V = np.zeros_like(x)
    V[place] = 1
    return V


def _told(by_hand: float, measured: float, error: float, tolerance: float) -> str:
    quotient = f"{by_hand / measured:.6g}" if measured else "infinite"
    return (
        f"along a random direction the backward pass gives {by_hand:.9g}, finite differences "
        f"{measured:.9g}; relative error {error:.1e}, allowed {tolerance:.1e}. Their quotient is "
        f"{quotient}: a whole number or a fraction hints at a lost factor or mean, −1 at a sign, "
        "anything else at a wrong term or a transpose"
    )


def _names(forward: Callable[..., Any], count: int) -> list[str]:
    parameters = inspect.signature(forward).parameters.values()
    known = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL][:count]
    return known + [f"argument {i}" for i in range(len(known), count)]


def _check_float64(name: str, x: Any) -> None:
    if not isinstance(x, np.ndarray) or x.dtype != np.float64:
        kind = getattr(x, "dtype", type(x).__name__)
        raise TypeError(
            f"expected {name} as an array of float64, got {kind}: smaller floats are too coarse "
            "for finite differences"
        )


def _check_shape(name: str, x: Array, gradient: Any) -> None:
    if np.shape(gradient) != x.shape:
        raise GradientError(
            f"expected the gradient with respect to {name} to have its shape {x.shape}, got "
            f"{np.shape(gradient)}"
        )
