"""Copies to try things out on, so that the originals stay as they are."""

from __future__ import annotations

import copy
import io
import math
import types
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any, cast

import numpy as np
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    IterableDataset,
    Subset,
    TensorDataset,
    default_collate,
)

from dlbook.doctor.reaching import TooMuchError, data_of, outside_of, reach

__all__ = ["Copies", "NotCopiedError", "read_once"]

LARGEST = 2**30  # bytes of a loader's data that are copied
OUTSIDE = 100_000  # things that functions lead to and that are looked at
GONE = object()  # stands in a copy for workers that are at work


class NotCopiedError(ValueError):
    """Something cannot be copied, and to work with the original would change it."""


class Copies:
    """Deep copies of things that belong together: what stands in several of them is copied once.

    So does the copy of an optimizer hold the parameters of the network's copy.

    Examples
    --------
    >>> model = nn.Linear(2, 1)
    >>> copies = Copies()
    >>> copied = copies.model(model)
    >>> copies.plain([model.weight])[0] is copied.weight
    True
    """

    def __init__(self) -> None:
        self._copies: list[Any] = []
        self._copied: set[int] = set()  # the ids of what was copied, with all that stands in it
        self._memo: dict[int, Any] = {}
        self._shared: dict[int, Any] = {}  # used in place, since nothing changes it

    def plain(self, thing: Any) -> Any:
        """Copy anything.

        Parameters
        ----------
        thing : object
            Anything.

        Returns
        -------
        object
            The copy.

        Raises
        ------
        NotCopiedError
            If it cannot be copied; the message says why.
        """
        try:
            copied = copy.deepcopy(thing, self._memo)
        except Exception as error:  # of any kind: each class copies itself as it likes
            raise NotCopiedError(f"it cannot be copied: {type(error).__name__}: {error}") from error
        self._copied.update(id(part) for part in reach([thing], self._data_of, math.inf))
        self._copies.append(copied)
        return copied

    def _data_of(self, thing: Any) -> Iterable[Any]:
        return () if id(thing) in self._shared else data_of(thing)

    def model(self, model: nn.Module) -> nn.Module:
        """Copy a network, with the hooks on its parameters, and not what compiles or spreads it.

        Parameters
        ----------
        model : nn.Module
            The network.

        Returns
        -------
        nn.Module
            The copy, in the modes of the original.

        Raises
        ------
        NotCopiedError
            If it cannot be copied; the message says why.
        """
        model = _unwrapped(model)
        for thing in reach([model], self._data_of, math.inf):
            if isinstance(thing, Tensor) and not thing.is_leaf:  # computed anew in each forward
                self._memo[id(thing)] = thing.detach().clone()
        copied = cast(nn.Module, self.plain(model))
        for old, new in zip(model.parameters(), copied.parameters(), strict=True):
            vars(new).update(self.plain(vars(old)))
            for hook in (old._backward_hooks or {}).values():
                new.register_hook(hook)  # type: ignore[no-untyped-call]
        return copied

    def optimizer(self, optimizer: Optimizer) -> Optimizer:
        """Copy an optimizer with all that it remembers.

        Parameters
        ----------
        optimizer : Optimizer
            The optimizer.

        Returns
        -------
        Optimizer
            The copy, which holds the copies of the parameters.

        Raises
        ------
        NotCopiedError
            If it cannot be copied; the message says why.
        """
        # copy.deepcopy leaves out what a kind of optimizer has of its own, and a schedule puts a
        # function that steps the original in the place of `step`.
        own = {name: value for name, value in vars(optimizer).items() if name != "step"}
        copied = object.__new__(type(optimizer))
        vars(copied).update(self.plain(own))
        return copied

    def loader(self, loader: Iterable[Any]) -> Iterable[Any]:
        """Copy a loader with its data; the copy loads in this process where it can.

        Parameters
        ----------
        loader : iterable
            Yields batches.

        Returns
        -------
        iterable
            The copy, which yields the batches that the original would have yielded next.

        Raises
        ------
        NotCopiedError
            If it can be read only once, cannot be copied, or is too large for it; the message
            says which.
        """
        self._share(_unchanging(loader))
        try:
            things = list(reach([loader], self._data_of))
        except TooMuchError as error:
            raise NotCopiedError(f"it is too large to be copied: {error}") from None
        kind = read_once(things)
        if kind:
            raise NotCopiedError(f"it reads from a {kind}, which can be read only once")
        self._share(t for t in things if isinstance(t, np.ndarray) and not t.flags.writeable)
        for thing in things:
            if isinstance(thing, DataLoader) and thing._iterator is not None:
                self._memo[id(thing._iterator)] = GONE
        size = _size(thing for thing in things if id(thing) not in self._shared)
        if size > LARGEST:
            raise NotCopiedError(f"it is too large to be copied: {size / 2**30:.1f} GiB")
        copied = self.plain(loader)
        for thing in reach([copied], self._data_of, math.inf):
            if isinstance(thing, DataLoader):
                _load_here(thing)
        return cast(Iterable[Any], copied)

    def _share(self, things: Iterable[Any]) -> None:
        shared = {id(thing): thing for thing in things}
        self._shared.update(shared)
        self._memo.update(shared)

    def in_common(self) -> list[Any]:
        """List what copies and originals share: functions, classes, what refuses to be copied.

        Returns
        -------
        list of object
            What is used as it stands when the copies are used.
        """
        parts = reach(self._copies, self._data_of, math.inf)
        common = (t for t in parts if id(t) in self._copied and id(t) not in self._shared)
        return [t for t in common if type(t) is not tuple]  # what stands in it is listed itself


def read_once(things: Iterable[Any]) -> str:
    """Name what can be read only once: an iterator among things, or that their functions use.

    Parameters
    ----------
    things : iterable of object
        What is looked at.

    Returns
    -------
    str
        The iterator's class; empty where there is none.

    Examples
    --------
    >>> batches = iter([1, 2])
    >>> read_once([lambda: next(batches)]), read_once([lambda: [1, 2]])
    ('list_iterator', '')
    """
    things = list(things)
    doors = (thing for thing in things if isinstance(thing, types.FunctionType | type))
    with suppress(TooMuchError):
        for thing in chain(things, reach(doors, outside_of, OUTSIDE)):
            if isinstance(thing, Iterator) and not isinstance(thing, io.IOBase):
                return type(thing).__name__
    return ""


def _unwrapped(model: nn.Module) -> nn.Module:
    """Return the network within what compiles it or spreads it over processes."""
    while True:
        distributed = isinstance(model, DistributedDataParallel)
        inner = getattr(model, "module" if distributed else "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def _unchanging(loader: object) -> Iterator[Any]:
    """Yield the data of a loader that only PyTorch's own code reads, to stack items in new memory.

    To copy them would be a waste.
    """
    if (
        isinstance(loader, DataLoader)
        and loader.batch_sampler is not None
        and loader.collate_fn is default_collate
    ):
        yield from _rows_of(loader.dataset)


def _rows_of(dataset: object) -> Iterator[Any]:
    if type(dataset) is list:
        yield dataset
    elif type(dataset) is TensorDataset:
        yield from dataset.tensors
    elif type(dataset) is Subset:
        yield from _rows_of(dataset.dataset)
    elif type(dataset) is ConcatDataset:
        for part in dataset.datasets:
            yield from _rows_of(part)


def _size(things: Iterable[Any]) -> int:
    """Count the bytes of tensors and arrays, memory that several share once."""
    sizes: dict[int, int] = {}
    for thing in things:
        if isinstance(thing, Tensor):
            with suppress(NotImplementedError, RuntimeError):  # a kind without memory of its own
                storage = thing.untyped_storage()
                sizes[storage.data_ptr()] = storage.nbytes()
        elif isinstance(thing, np.ndarray):
            sizes[id(thing)] = thing.nbytes
    return sum(sizes.values())


def _load_here(loader: DataLoader[Any]) -> None:
    """Let a copied loader load in this process, or in one other where data may ask for theirs."""
    own = vars(loader)  # the loader itself refuses such changes
    own.update(_iterator=None, persistent_workers=False)
    if loader.num_workers == 0:
        return
    if loader.worker_init_fn is not None or isinstance(loader.dataset, IterableDataset):
        own["num_workers"] = 1
        return
    own.update(num_workers=0, prefetch_factor=None, timeout=0)
    own["_DataLoader__multiprocessing_context"] = None
