"""What an object leads to: its own data, and what its functions use that stands elsewhere."""

from __future__ import annotations

import dis
import gc
import sys
import sysconfig
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

__all__ = ["MOST", "TooMuchError", "data_of", "global_names", "is_foreign", "outside_of", "reach"]

MOST = 3_000_000  # things that are looked at from one place
ATOMIC = (
    *(type(None), bool, int, float, complex, str, bytes, range, slice, np.generic, np.dtype),
    *(torch.dtype, torch.device, torch.Size, types.CodeType, types.ModuleType, weakref.ref),
)
PLAIN = frozenset((type(None), bool, int, float, str))
PLACES = ("stdlib", "platstdlib", "purelib", "platlib")
FOREIGN = (
    *(sysconfig.get_paths()[place] for place in PLACES),
    *(str(Path(str(library.__file__)).parent) for library in (torch, np)),
    str(Path(__file__).parent),
)
# Of the standard library, what holds a reader's things; the rest (loggers, locks) is left alone.
HOLDERS = {"builtins", "collections", "functools", "random", "types", "__main__"}


class TooMuchError(ValueError):
    """There is more than can be looked at within reason."""


def reach(
    roots: Iterable[Any], held_by: Callable[[Any], Iterable[Any]], most: float = MOST
) -> Iterator[Any]:
    """Walk to all that can be reached, nearest first, but for numbers, text and the like.

    Parameters
    ----------
    roots : iterable of object
        Where to begin.
    held_by : callable
        Takes a thing, returns those that it leads to: ``data_of`` or ``outside_of``.
    most : float, optional
        How many things are yielded at most; ``math.inf`` for all.

    Yields
    ------
    object
        Each thing once.

    Raises
    ------
    TooMuchError
        If there are more; the message gives the limit.

    Examples
    --------
    >>> list(reach([(1, ["a", [2]])], data_of))
    [(1, ['a', [2]]), ['a', [2]], [2]]
    """
    seen: dict[int, Any] = {}  # holds the things, so that no other gets the id of one
    waiting = deque(roots)
    while waiting:
        thing = waiting.popleft()
        if isinstance(thing, ATOMIC) or id(thing) in seen:
            continue
        if len(seen) == most:
            raise TooMuchError(f"it holds more than {most:,} objects")
        seen[id(thing)] = thing
        yield thing
        waiting.extend(held for held in held_by(thing) if not _is_plain(held))


def _is_plain(thing: Any) -> bool:
    """Tell of the most frequent things, fast, that there is nothing in them."""
    kind = type(thing)
    return kind in PLAIN or (kind is tuple and not gc.is_tracked(thing))  # of numbers and text


def data_of(thing: Any) -> Iterable[Any]:
    """Return what a thing holds as its own: what a deep copy of it copies.

    Functions, classes and iterators are ends: they are not copied.

    Parameters
    ----------
    thing : object
        Anything.

    Returns
    -------
    iterable of object
        What stands in it.
    """
    if isinstance(thing, types.FunctionType | type | Iterator):
        return ()
    if isinstance(thing, Tensor):
        return (vars(thing), thing.grad if thing.is_leaf else None)
    if isinstance(thing, np.ndarray):
        return thing.flat if thing.dtype == object else ()
    if isinstance(thing, DataLoader):  # but for its workers
        return (type(thing), *(value for name, value in vars(thing).items() if name != "_iterator"))
    return gc.get_referents(thing)


def outside_of(thing: Any) -> Iterable[Any]:
    """Return what a thing leads to, also through its functions and classes.

    A function leads to its closure, its defaults and the globals that it names; a class to its
    attributes. What stands in the standard library and among the installed packages is an end.

    Parameters
    ----------
    thing : object
        Anything.

    Returns
    -------
    iterable of object
        What it leads to.
    """
    if isinstance(thing, types.FunctionType):
        return () if is_foreign(thing) else _outside_of_function(thing)
    if isinstance(thing, type):
        return () if is_foreign(thing) else (*vars(thing).values(), *thing.__bases__)
    package = type(thing).__module__.partition(".")[0]
    if package in sys.stdlib_module_names and package not in HOLDERS:
        return ()
    if isinstance(thing, DataLoader):
        return data_of(thing)
    own = None if isinstance(thing, Iterator) else getattr(thing, "__dict__", None)
    return (own if type(own) is dict else None, *data_of(thing))


def _outside_of_function(function: types.FunctionType) -> Iterator[Any]:
    yield from function.__closure__ or ()
    yield function.__defaults__
    yield function.__kwdefaults__
    yield vars(function)
    attributes = _names(function.__code__, "LOAD_ATTR", "LOAD_METHOD")
    for name in global_names(function.__code__):
        value = function.__globals__.get(name)
        yield value
        if isinstance(value, types.ModuleType) and not is_foreign(value):
            yield from (vars(value).get(attribute) for attribute in attributes)


def global_names(code: types.CodeType) -> frozenset[str]:
    """Return the names of the globals that a function reads or sets, with those within it.

    Parameters
    ----------
    code : code
        Of the function.

    Returns
    -------
    frozenset of str
        The names.

    Examples
    --------
    >>> sorted(global_names((lambda x: [MOST + len(row) for row in x]).__code__))
    ['MOST', 'len']
    """
    return _names(code, "LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME")


@lru_cache(maxsize=10_000)
def _names(code: types.CodeType, *operations: str) -> frozenset[str]:
    own = {i.argval for i in dis.get_instructions(code) if i.opname in operations}
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return frozenset(own).union(*(_names(const, *operations) for const in inner))


def is_foreign(thing: types.FunctionType | type | types.ModuleType) -> bool:
    """Tell whether something is of Python, of an installed package, or of the doctor.

    Parameters
    ----------
    thing : function, class or module
        Anything that has a file.

    Returns
    -------
    bool
        False also for what was typed into a notebook.

    Examples
    --------
    >>> is_foreign(Path), is_foreign(lambda: None)
    (True, False)
    """
    if isinstance(thing, types.FunctionType):
        return thing.__code__.co_filename.startswith(FOREIGN)
    name = thing.__module__ if isinstance(thing, type) else thing.__name__
    file = getattr(sys.modules.get(name, thing), "__file__", None)
    return name != "__main__" if file is None else str(file).startswith(FOREIGN)
