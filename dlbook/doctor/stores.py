"""What a loader's dataset holds, and whether fetching a batch changes it."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

__all__ = ["Stores", "observe_stores"]

LARGEST = 5_000_000  # numbers in an array that is compared
WATCHED = 5  # fetches of each pass that are looked at
PASSES = 4  # passes that are looked at


@dataclass
class Stores:
    """What fetching did to the data.

    Parameters
    ----------
    changed : Counter
        By attribute of a dataset, in how many passes after the first a fetch changed it.
    paused : bool
        Whether nothing is noted, since the doctor itself is at work.
    """

    changed: Counter[str] = field(default_factory=Counter)
    paused: bool = False


Replace = Callable[[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]], None]


def observe_stores(stores: Stores, replace: Replace) -> None:
    """Watch the data behind loaders that fetch in this process.

    Parameters
    ----------
    stores : Stores
        Where it is noted.
    replace : callable
        Takes an owner, the name of one of its functions, and what makes a new function of the old
        one; puts it in place until the watching ends.
    """
    passes: Counter[int] = Counter()
    looked: weakref.WeakKeyDictionary[Any, tuple[Any, int]] = weakref.WeakKeyDictionary()
    seen: set[tuple[int, int, str]] = set()

    def beginning(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(loader: Any) -> Any:
            batches = original(loader)
            passes[id(loader.dataset)] += 1
            again = 1 < passes[id(loader.dataset)] <= PASSES
            if again and loader.num_workers == 0 and not stores.paused:
                looked[batches] = loader.dataset, WATCHED
            return batches

        return watched

    def fetching(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(batches: Any) -> Any:
            data, left = looked.get(batches, (None, 0))
            if not left:
                return original(batches)
            before = {name: _state(value) for name, value in _held(data)}
            batch = original(batches)
            looked[batches] = data, left - 1
            for name, value in _held(data):
                key = id(data), passes[id(data)], name
                if name in before and before[name] != _state(value) and key not in seen:
                    seen.add(key)
                    stores.changed[name] += 1
            return batch

        return watched

    loading = torch.utils.data.dataloader
    replace(loading.DataLoader, "__iter__", beginning)
    replace(loading._BaseDataLoaderIter, "__next__", fetching)


def _held(data: Any) -> Iterator[tuple[str, Any]]:
    """Yield the floating arrays that a dataset holds, and those that it is a part of."""
    while isinstance(data, Dataset):
        held = dict(getattr(data, "__dict__", {}))
        parts = held.pop("tensors", ())
        named = [*held.items(), *((f"tensors[{i}]", part) for i, part in enumerate(parts))]
        yield from ((name, value) for name, value in named if _measures(value))
        data = held.get("dataset")


def _measures(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.is_floating_point() and value.numel() > 1
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size > 1


def _state(value: Any) -> tuple[float, ...]:
    """Tell one state of an array from another."""
    if isinstance(value, Tensor):
        return (float(value._version),)
    if value.size > LARGEST:
        return ()
    return float(np.nansum(value)), float(np.nansum(np.square(value)))
