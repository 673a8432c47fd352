"""Checks of what an operation is given, said once, so that each operation is its mathematics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from dlbook.arguments import check_class_ids

__all__ = [
    "Array",
    "Labels",
    "check_arrays",
    "check_finite",
    "check_generator",
    "check_gradients",
    "check_labels",
    "check_number",
    "check_parameters",
    "check_whole",
    "trusted",
]

Array = NDArray[np.floating]
Labels = NDArray[np.integer]

_trusting = ContextVar("trusting", default=False)


@contextmanager
def trusted() -> Iterator[None]:
    """Skip the checks of arrays, labels and gradients within: for the later rounds of a loop.

    ``fit`` checks its first batch in full. What follows has the same shapes and dtypes, and the
    checks would cost a small network more time than its arithmetic.

    Examples
    --------
    >>> with trusted():
    ...     check_arrays(W=(np.zeros(2), "d_in, d_out"))
    """
    token = _trusting.set(True)
    try:
        yield
    finally:
        _trusting.reset(token)


def check_arrays(**named: tuple[Array, str]) -> None:
    """Refuse arrays that do not hold floats of one dtype, or whose shapes do not go together.

    A letter stands for one length, the same in every shape of a call. ``...`` in first place stands
    for any number of axes, again the same in every shape.

    Parameters
    ----------
    **named : tuple of ndarray and str
        For each argument by name, the array and its shape as the docstring writes it.

    Raises
    ------
    TypeError
        If an argument is not an array of floats, or the dtypes differ; the message gives them.
    ValueError
        If a shape does not fit; the message gives the shape expected, the arrays that ask for it,
        and the shape that came.

    Examples
    --------
    >>> X, W = np.zeros((5, 3)), np.zeros((4, 2))
    >>> check_arrays(X=(X, "n, d_in"), W=(W, "d_in, d_out"))
    Traceback (most recent call last):
    ValueError: expected W of shape (3, d_out) to go with X of shape (5, 3), got (4, 2)
    """
    if _trusting.get():
        return
    first = next(iter(named))
    lengths: dict[str, tuple[int, ...]] = {}
    for name, (array, shape) in named.items():
        _check_dtype(name, array, first, named[first][0])
        symbols, known = _symbols(shape), dict(lengths)
        if not _fits(array.shape, symbols, lengths):
            wanted = [m for symbol in symbols for m in known.get(symbol, (symbol,))]
            others = [
                f"{other} of shape {named[other][0].shape}"
                for other in list(named)[: list(named).index(name)]
                if set(symbols) & set(_symbols(named[other][1]))
            ]
            raise ValueError(
                f"expected {name} of shape {_written(wanted)}"
                + (f" to go with {' and '.join(others)}" if others else "")
                + f", got {array.shape}{_remedy(name, array, wanted)}"
            )


def _check_dtype(name: str, array: Array, first: str, reference: Array) -> None:
    if not isinstance(array, np.ndarray | np.floating):
        raise TypeError(
            f"expected {name} to be an array of floats, got {type(array).__name__}: "
            f"use np.asarray({name}, dtype=np.float32)"
        )
    if array.dtype.kind != "f":
        raise TypeError(
            f"expected {name} to hold floats, got {array.dtype}: use {name}.astype(np.float32)"
        )
    if array.dtype != reference.dtype:
        raise TypeError(
            f"expected {name} in {reference.dtype} to go with {first}, got {array.dtype}: "
            f"use {name}.astype(np.{reference.dtype})"
        )


@cache
def _symbols(shape: str) -> tuple[str, ...]:
    return tuple(symbol.strip() for symbol in shape.split(","))


def _fits(
    shape: tuple[int, ...], symbols: tuple[str, ...], lengths: dict[str, tuple[int, ...]]
) -> bool:
    """Tell whether a shape fits, and note in ``lengths`` what it says of each symbol."""
    found: list[tuple[int, ...]] = [(m,) for m in shape]
    if symbols[0] == "...":
        cut = len(shape) - (len(symbols) - 1)
        if cut < 0:
            return False
        found = [shape[:cut], *found[cut:]]
    return len(found) == len(symbols) and all(
        lengths.setdefault(symbol, length) == length
        for symbol, length in zip(symbols, found, strict=True)
    )


def _written(lengths: Sequence[int | str]) -> str:
    return f"({', '.join(map(str, lengths))}{',' if len(lengths) == 1 else ''})"


def _remedy(name: str, array: Array, wanted: Sequence[int | str]) -> str:
    known = [m for m in wanted if isinstance(m, int)]
    if len(known) == len(wanted) and math.prod(known) == array.size:
        return f": use {name}.reshape{_written(wanted)}"
    return ""


def check_labels(y: Labels, Z: Array) -> None:
    """Refuse anything but one class id for each row of logits, from 0 to k - 1.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Class ids.
    Z : ndarray of shape (n, k)
        Logits, one column a class.

    Raises
    ------
    TypeError
        If ``y`` is not an array of integers; the message gives what it is.
    ValueError
        If ``y`` has another shape than (n,), or an id outside 0 … k - 1; the message gives it.

    Examples
    --------
    >>> check_labels(np.array([0, 3]), np.zeros((2, 3)))
    Traceback (most recent call last):
    ValueError: expected class ids from 0 to 2, got 3
    """
    if _trusting.get():
        return
    n, k = Z.shape
    if not isinstance(y, np.ndarray):
        raise TypeError(
            f"expected y to be an array of class ids, got {type(y).__name__}: use np.asarray(y)"
        )
    check_class_ids(y, k)
    if len(y) != n:
        raise ValueError(f"expected one class id for each of the {n} rows of Z, got {len(y)}")


def check_finite(name: str, array: Array | Labels) -> None:
    """Refuse an array that holds NaN or infinity.

    Parameters
    ----------
    name : str
        What the message calls the array.
    array : ndarray of shape (...)
        Floats or integers.

    Raises
    ------
    ValueError
        If a number is not finite; the message says how many and where the first one stands.

    Examples
    --------
    >>> check_finite("X", np.array([[1.0, np.nan]]))
    Traceback (most recent call last):
    ValueError: expected finite numbers in X, got 1 that is not: the first at X[0, 1] is nan
    """
    finite = np.isfinite(array)
    if not finite.all():
        wrong = np.argwhere(~finite)
        where = tuple(wrong[0])
        raise ValueError(
            f"expected finite numbers in {name}, got {len(wrong)} that "
            f"{'is' if len(wrong) == 1 else 'are'} not: the first at "
            f"{name}[{', '.join(map(str, where))}] is {array[where]}"
        )


def check_gradients(gradients: Sequence[Array], parameters: Sequence[Array]) -> None:
    """Refuse gradients that are not one for each parameter, of its shape and dtype.

    Parameters
    ----------
    gradients : list of ndarray
        Derivatives of the loss with respect to the parameters, in their order.
    parameters : list of ndarray
        The parameters.

    Raises
    ------
    TypeError
        If a gradient is not an array of the parameter's dtype; the message gives both.
    ValueError
        If their number or a shape differs; the message gives both.

    Examples
    --------
    >>> check_gradients([np.zeros(3)], [np.zeros((3, 1))])
    Traceback (most recent call last):
    ValueError: expected gradients[0] of shape (3, 1) to go with parameters[0], got (3,)
    """
    if _trusting.get():
        return
    if len(gradients) != len(parameters):
        raise ValueError(
            f"expected a gradient for each of {len(parameters)} parameters, got {len(gradients)}"
            + ("" if gradients else ": run the backward pass first")
        )
    for i, (gradient, parameter) in enumerate(zip(gradients, parameters, strict=True)):
        _check_dtype(f"gradients[{i}]", gradient, f"parameters[{i}]", parameter)
        if gradient.shape != parameter.shape:
            raise ValueError(
                f"expected gradients[{i}] of shape {parameter.shape} to go with "
                f"parameters[{i}], got {gradient.shape}"
            )


def check_parameters(parameters: Iterable[Array]) -> list[Array]:
    """Refuse parameters that an optimizer could not change; return the others as a list.

    Parameters
    ----------
    parameters : iterable of ndarray
        The arrays that are to be changed in place.

    Returns
    -------
    list of ndarray
        The same arrays, not copies.

    Raises
    ------
    TypeError
        If one is not an array of floats; the message gives what it is.
    ValueError
        If there is none, or one cannot be written to; the message says which.

    Examples
    --------
    >>> check_parameters([])
    Traceback (most recent call last):
    ValueError: expected at least one parameter, got none
    """
    arrays = list(parameters)
    if not arrays:
        raise ValueError("expected at least one parameter, got none")
    for i, array in enumerate(arrays):
        _check_dtype(f"parameters[{i}]", array, f"parameters[{i}]", array)
        if not array.flags.writeable:
            raise ValueError(
                f"expected to change parameters[{i}] in place, got a read-only array: "
                f"use parameters[{i}].copy()"
            )
    return arrays


def check_number(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuse anything but a finite number from ``low`` up to and without ``high``.

    Parameters
    ----------
    name : str
        What the message calls the number.
    value : float
        The number.
    low, high : float
        The least number allowed, and the least number above those allowed.

    Raises
    ------
    TypeError
        If it is not a number; the message gives what it is.
    ValueError
        If it is outside the range, infinite or NaN; the message gives range and number.

    Examples
    --------
    >>> check_number("momentum", 1.5, 0, 1)
    Traceback (most recent call last):
    ValueError: expected momentum from 0 up and below 1, got 1.5
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"expected {name} to be a number, got {value!r}")
    if not low <= value < high:
        limit = "finite" if math.isinf(high) else f"below {high}"
        raise ValueError(f"expected {name} from {low} up and {limit}, got {value}")


def check_whole(name: str, value: int, least: int = 1) -> None:
    """Refuse anything but a whole number from ``least`` up.

    Parameters
    ----------
    name : str
        What the message calls the number.
    value : int
        The number.
    least : int, default 1
        The least number allowed.

    Raises
    ------
    TypeError
        If it is not an integer; the message gives what it is.
    ValueError
        If it is below ``least``; the message gives it.

    Examples
    --------
    >>> check_whole("epochs", 0)
    Traceback (most recent call last):
    ValueError: expected epochs of at least 1, got 0
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise TypeError(f"expected {name} to be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"expected {name} of at least {least}, got {value}")


def check_generator(rng: np.random.Generator) -> None:
    """Refuse anything but a NumPy Generator.

    Parameters
    ----------
    rng : Generator
        The source of randomness.

    Raises
    ------
    TypeError
        If it is something else, such as a bare seed; the message gives what it is.

    Examples
    --------
    >>> check_generator(0)
    Traceback (most recent call last):
    TypeError: expected rng to be a Generator, got int: use np.random.default_rng(seed)
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"expected rng to be a Generator, got {type(rng).__name__}: "
            "use np.random.default_rng(seed)"
        )
