"""What a loop does over and over: how it clears, steps and draws, what it drops and keeps."""

from __future__ import annotations

import dis
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, wraps
from itertools import pairwise
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_flatten
from torch.utils.data import RandomSampler

from dlbook.doctor.lines import FOREIGN, line_of_reader

__all__ = ["Dropped", "Habits", "Pass", "observe"]

MOST = 5_000  # entries of a kind that are kept
LARGEST = 3_000_000  # numbers in a batch whose rows are told apart
PIECE = 2**15  # of these numbers, those that are dealt with at a time
CONVERSIONS = frozenset(
    {"bfloat16", "cpu", "cuda", "double", "float", "half", "int", "long", "to", "type"}
)


class Dropped(NamedTuple):
    """A conversion whose result nobody took: the function, and the reader's line."""

    function: str
    where: str


class Pass(NamedTuple):
    """A pass over a loader that draws its order: its first batch, in short, and the line."""

    first: tuple[float, ...]
    whole: bool
    where: str


class Mark:
    """Put on a graph; it is gone when the graph is."""


@dataclass
class Habits:
    """What a loop did over and over.

    Parameters
    ----------
    groups : list of int
        For each step, how many backward passes came since the step before or the last clearing.
    cleared : list of tuple
        Each time ``zero_grad`` found gradients that no step had used: how many backward passes
        they came from, and the reader's line.
    clearings : int
        How often ``zero_grad`` was called.
    stepping : bool
        Whether a step is under way.
    rates : list of float
        The largest rate of each step.
    modes : list of bool
        For each step, whether any network that it changed was in training mode.
    redrawn : list of tuple
        Each step that used draws made after the same seed as those of a step before: the seed and
        the line that set it.
    dropped : list of Dropped
        Conversions whose result nobody took.
    passes : list of Pass
        The passes over loaders that draw their order.
    changed : list of str
        Each time a network was given the same part of a larger tensor again, with other values:
        the reader's line.
    unchanged : int
        How often it was given such a part with the same values.
    rows, asked : dict of str to list of Tensor
        By network, what tells the rows of its inputs apart, one number each, for every pass that
        trained and for every other pass.
    kept : tuple
        Of the passes in evaluation mode with gradients since the last backward pass: how many
        graphs were alive, how many there had been, and the line; at their most.
    """

    rows: dict[str, list[Tensor]] = field(default_factory=dict)
    asked: dict[str, list[Tensor]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    groups: list[int] = field(default_factory=list)
    cleared: list[tuple[int, str]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    modes: list[bool] = field(default_factory=list)
    redrawn: list[tuple[int, str]] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)
    kept: tuple[int, int, str] = (0, 0, "")
    paused: bool = False
    _parts: dict[tuple[Any, ...], tuple[Any, tuple[float, ...]]] = field(default_factory=dict)
    clearings: int = 0
    stepping: bool = False
    _pending: int = 0
    _marks: list[weakref.ref[Mark]] = field(default_factory=list)
    _seed: tuple[int, str, Tensor] | None = None
    _seeds: set[int] = field(default_factory=set)

    def backward(self) -> None:
        """Note a backward pass."""
        self._pending += 1
        self._marks.clear()

    def step(self, rate: float, training: bool) -> None:
        """Note a step."""
        if len(self.rates) < MOST:
            self.groups.append(self._pending)
            self.rates.append(rate)
            self.modes.append(training)
        self._pending = 0
        if self._seed is not None:
            self._note_draws(*self._seed)

    def clear(self) -> None:
        """Note that gradients are cleared."""
        self.clearings += 1
        if self.stepping:  # a closure clears before each look at the loss
            self._pending = 0
        if self._pending and len(self.cleared) < MOST:
            self.cleared.append((self._pending, line_of_reader()))
        self._pending = 0

    def seeded(self, seed: int) -> None:
        """Note a seed."""
        self._seed = seed, line_of_reader(), torch.get_rng_state()

    def restored(self) -> None:
        """Note that a state was put back: draws made after a seed were for themselves."""
        self._seed = None

    def input(self, args: Any) -> None:
        """Note whether parts of larger tensors have the values that they had before."""
        for x in tree_flatten(args)[0]:
            if not isinstance(x, Tensor) or x._base is None or x._base.numel() <= x.numel():
                continue
            key = x.data_ptr(), tuple(x.shape), tuple(x.stride())
            now = _in_short(x)
            of, before = self._parts.get(key, (None, ()))
            if of is not None and of() is x._base:
                self.unchanged += before == now
                if before != now and len(self.changed) < MOST:
                    self.changed.append(line_of_reader())
            if len(self._parts) < MOST or key in self._parts:
                self._parts[key] = weakref.ref(x._base), now

    @property
    def parts(self) -> int:
        """How many parts of larger tensors a network was given: a buffer has few."""
        return len(self._parts)

    def note_rows(self, name: str, given: Any, *, trains: bool, most: int) -> None:
        """Note which examples a network is given; numbers that only name things tell too little."""
        kept = (self.rows if trains else self.asked).setdefault(name, [])
        if len(kept) >= most:
            return
        tensors = [
            leaf for leaf in tree_flatten(given)[0] if isinstance(leaf, Tensor) and leaf.dim()
        ]
        alike = [x for x in tensors if len(x) == len(tensors[0]) and not x.requires_grad]
        parts = [x.detach().reshape(len(x), -1) for x in alike if x.numel() and not x.is_sparse]
        names_only = all(x.shape[1] == 1 and not x.is_floating_point() for x in parts)
        if names_only or sum(x.numel() for x in parts) > LARGEST:
            return
        real = [x for x in parts if not x.is_complex()]
        if not real:
            return
        row = real[0] if len(real) == 1 else torch.cat([x.double() for x in real], dim=1)
        along = _directions(row.shape[1]).to(row.device)
        few = max(1, PIECE // row.shape[1])  # rows at a time, which fit into a cache
        kept.append(torch.cat([piece.double() @ along for piece in torch.split(row, few)]))

    def output(self, result: Any) -> None:
        """Note what a network gave out in evaluation mode with gradients."""
        for tensor in tree_flatten(result)[0]:
            if isinstance(tensor, Tensor) and tensor.grad_fn is not None and len(self._marks) < 100:
                mark, metadata = Mark(), cast("dict[str, object]", tensor.grad_fn.metadata)
                metadata["dlbook.doctor output"] = mark
                self._marks.append(weakref.ref(mark))
                break
        alive = sum(mark() is not None for mark in self._marks)
        if alive > self.kept[0]:
            self.kept = alive, len(self._marks), line_of_reader()

    def _note_draws(self, seed: int, where: str, state: Tensor) -> None:
        """Note whether the step that is made used draws that a step before has used too."""
        if torch.equal(torch.get_rng_state(), state):
            return  # nothing was drawn since
        if seed in self._seeds and len(self.redrawn) < MOST:
            self.redrawn.append((seed, where))
        self._seeds.add(seed)
        self._seed = None


Replace = Callable[[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]], None]


def observe(habits: Habits, replace: Replace) -> None:
    """Watch clearing, seeding and loaders.

    Parameters
    ----------
    habits : Habits
        Where it is noted.
    replace : callable
        Takes an owner, the name of one of its functions, and what makes a new function of the old
        one; puts it in place until the watching ends.
    """

    def clearing(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if not habits.paused:
                habits.clear()
            return original(*args, **kwargs)

        return watched

    def seeding(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(seed: int) -> Any:
            result = original(seed)
            if not habits.paused and habits.rates:
                habits.seeded(int(seed))
            return result

        return watched

    def restoring(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if not habits.paused:
                habits.restored()
            return original(*args, **kwargs)

        return watched

    def drawing(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(loader: Any) -> Any:
            batches = original(loader)
            if isinstance(loader.sampler, RandomSampler) and not habits.paused:
                firsts[batches] = loader
            return batches

        return watched

    def giving(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(batches: Any) -> Any:
            batch = original(batches)
            loader = firsts.pop(batches, None)
            if loader is not None and len(habits.passes) < MOST:
                whole = len(loader) == 1 and len(loader.sampler) >= len(loader.dataset)
                habits.passes.append(Pass(_in_short(batch), whole, line_of_reader()))
            return batch

        return watched

    firsts: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
    loading = torch.utils.data.dataloader
    replace(Optimizer, "zero_grad", clearing)
    replace(nn.Module, "zero_grad", clearing)
    replace(torch, "manual_seed", seeding)
    replace(torch, "set_rng_state", restoring)
    replace(torch.random, "set_rng_state", restoring)
    replace(loading.DataLoader, "__iter__", drawing)
    replace(loading._BaseDataLoaderIter, "__next__", giving)


def conversion_dropped(name: str, given: object, result: object) -> Dropped | None:
    """Tell whether nobody takes what a conversion gives, by what Python does next.

    Parameters
    ----------
    name : str
        The function.
    given, result : object
        The tensor, and what became of it.

    Returns
    -------
    Dropped or None
        None where it is no conversion, changes nothing, or the result is taken.
    """
    if name not in CONVERSIONS or given is result:
        return None
    frame = sys._getframe(2)  # behind this function and the recorder
    if frame.f_code.co_filename.startswith(FOREIGN):
        return None
    if not _drops_at(frame.f_code, frame.f_lasti):
        return None
    return Dropped(name, f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")


@cache
def _drops_at(code: CodeType, offset: int) -> bool:
    """Tell whether the instruction behind the one at an offset throws its result away."""
    instructions = list(dis.get_instructions(code))
    for one, following in pairwise(instructions):
        if one.offset == offset:
            return following.opname == "POP_TOP"
    return False


@cache
def _directions(d: int) -> Tensor:
    """Draw a direction of d numbers, always the same, along which rows are told apart."""
    return torch.rand(d, generator=torch.Generator().manual_seed(d), dtype=torch.float64)


def _in_short(batch: Any) -> tuple[float, ...]:
    """Tell one batch from another by the sums of its tensors, weighted by their places."""
    tensors = [t for t in tree_flatten(batch)[0] if isinstance(t, Tensor) and t.numel()]
    flat = [t.detach().flatten().double() for t in tensors if not t.is_complex()]
    return tuple(float((t * torch.arange(1, len(t) + 1, device=t.device)).sum()) for t in flat)
