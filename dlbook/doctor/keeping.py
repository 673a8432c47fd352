"""Putting things back as they were: what stands outside of all copies and changes within a run."""

from __future__ import annotations

import io
import random
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlbook.doctor.reaching import TooMuchError, global_names, is_foreign, outside_of, reach
from dlbook.pytorch.randomness import generators_state, set_generators_state

__all__ = ["unchanged"]

LARGEST = 2**30  # bytes of tensors and arrays that are kept
MOST = 100_000  # things that are kept
Undo = Callable[[], object]


@contextmanager
def unchanged(roots: Iterable[Any]) -> Iterator[None]:
    """Put back whatever changes within: the global generators, and what the roots lead to.

    Kept are generators, tensors and arrays with their gradients, lists, sets, dictionaries, the
    attributes of objects and classes, the globals and nonlocals of functions, and places in files;
    of what there is beyond ``MOST`` things and ``LARGEST`` bytes, only the nearest.

    Parameters
    ----------
    roots : iterable of object
        Functions and other things that are used within as they stand.

    Examples
    --------
    >>> drawn, rng = [], np.random.default_rng(0)
    >>> def draw():
    ...     drawn.append(rng.random())
    >>> with unchanged([draw]):
    ...     draw()
    >>> drawn, rng.random() == np.random.default_rng(0).random()
    ([], True)
    """
    states = generators_state()
    undo = list(_Keeper().keep_all(roots))
    try:
        yield
    finally:
        for put_back in reversed(undo):
            put_back()
        set_generators_state(states)


class _Keeper:
    """Keeps the states of things."""

    def __init__(self) -> None:
        self.left = LARGEST
        self.storages: set[int] = set()
        self.kinds: list[tuple[Any, Callable[[Any], Undo | None]]] = [
            (torch.Generator, lambda it: partial(it.set_state, it.get_state())),
            (np.random.BitGenerator, lambda it: partial(setattr, it, "state", it.state)),
            (np.random.RandomState, lambda it: partial(it.set_state, it.get_state(legacy=False))),
            (random.SystemRandom, lambda _: None),
            (random.Random, lambda it: partial(it.setstate, it.getstate())),
            (Tensor, self._tensor),
            (np.ndarray, self._array),
            (list | deque | bytearray, _items),
            (dict, _entries),
            (set, _members),
            (types.FunctionType, _globals),
            (types.CellType, _nonlocal),
            (type, _attributes),
            (io.IOBase, _place),
        ]

    def keep_all(self, roots: Iterable[Any]) -> Iterator[Undo]:
        """Yield for each thing that can change the function that puts it back."""
        with suppress(TooMuchError):
            for thing in reach(roots, outside_of, MOST):
                keep = next((keep for kinds, keep in self.kinds if isinstance(thing, kinds)), None)
                put_back = None if keep is None else keep(thing)
                if put_back is not None:
                    yield put_back

    def _tensor(self, tensor: Tensor) -> Undo:
        gradient = tensor.grad if tensor.is_leaf else None
        values = self._memory(tensor)

        def put_back() -> None:
            if tensor.is_leaf and tensor.grad is not gradient:
                tensor.grad = gradient
            if values is not None:
                tensor.untyped_storage().copy_(values)

        return put_back

    def _memory(self, tensor: Tensor) -> torch.UntypedStorage | None:
        """Copy the memory of a tensor, unless the copy of another one holds it."""
        try:
            storage = tensor.untyped_storage()
            place = storage.data_ptr()
        except (NotImplementedError, RuntimeError):  # a kind of tensor without memory of its own
            return None
        if place in self.storages or not self._affords(storage.nbytes()):
            return None
        self.storages.add(place)
        values: torch.UntypedStorage = storage.clone()  # type: ignore[no-untyped-call]
        return values

    def _array(self, array: np.ndarray[Any, Any]) -> Undo | None:
        if not array.flags.writeable or not self._affords(array.nbytes):
            return None
        return partial(np.copyto, array, array.copy())

    def _affords(self, size: int) -> bool:
        if not 0 < size <= self.left:
            return False
        self.left -= size
        return True


def _items(items: Any) -> Undo:
    kept = list(items)

    def put_back() -> None:
        if not _same(items, kept):
            items.clear()
            items.extend(kept)

    return put_back


def _entries(entries: dict[Any, Any]) -> Undo:
    kept = dict(entries)

    def put_back() -> None:
        if not (_same(entries, kept) and _same(entries.values(), kept.values())):
            entries.clear()
            entries.update(kept)

    return put_back


def _members(members: set[Any]) -> Undo:
    kept = set(members)

    def put_back() -> None:
        if members != kept:
            members.clear()
            members.update(kept)

    return put_back


def _same(now: Iterable[Any], before: Iterable[Any]) -> bool:
    """Whether the same objects stand in both, in the same order."""
    return [id(item) for item in now] == [id(item) for item in before]


def _globals(function: types.FunctionType) -> Undo | None:
    if is_foreign(function):
        return None
    space, names = function.__globals__, global_names(function.__code__)
    kept = {name: space[name] for name in names if name in space}

    def put_back() -> None:
        for name in names - kept.keys():
            space.pop(name, None)
        space.update(kept)

    return put_back


def _nonlocal(cell: types.CellType) -> Undo | None:
    try:
        return partial(setattr, cell, "cell_contents", cell.cell_contents)
    except ValueError:  # it holds nothing yet
        return None


def _attributes(kind: type) -> Undo | None:
    if is_foreign(kind):
        return None
    kept = dict(vars(kind))

    def put_back() -> None:
        for name in vars(kind).keys() - kept.keys():
            delattr(kind, name)
        for name, value in kept.items():
            if vars(kind)[name] is not value:
                setattr(kind, name, value)

    return put_back


def _place(file: Any) -> Undo | None:
    if file.closed or not file.seekable():
        return None
    try:
        return partial(file.seek, file.tell())
    except OSError:  # it is being read line by line
        return None
