"""What happens around the networks: loaders, schedules, clipping, states that are loaded."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

from dlbook.doctor.lines import line_of_reader

__all__ = ["Event", "LoaderFacts", "Surroundings", "look_around"]

MOST = 2_000  # events that are kept in order


@dataclass(frozen=True)
class Event:
    """Something that was called around the networks.

    Parameters
    ----------
    kind : str
        ``optimizer``, ``schedule``, ``schedule step``, ``clip``, ``load``, ``loader``
        (a pass over a loader begins), ``end`` (a loader has no more), ``train``, ``eval`` (a
        network is set to a mode).
    step : int
        How many steps had been made before it.
    where : str
        The line of the reader's code.
    facts : dict
        For ``optimizer``: ``name``, ``parameters``, ``held`` (their ids),
        ``settings`` (its defaults), ``backwards`` (how many backward passes there had been).
        ``schedule`` and ``schedule step``: ``name``, ``schedule`` (a number of its own). ``clip``:
        ``limit``, ``norm``, ``single`` (whether single numbers are limited; ``norm`` is then the
        largest), ``fresh`` (whether a gradient had arrived since the step before). ``load``:
        ``own`` (whether the tensors loaded are the network's own). ``loader`` and ``end``:
        ``loader``, a key of ``Surroundings.loaders``.
    """

    kind: str
    step: int
    where: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class LoaderFacts:
    """What is known of one loader.

    Parameters
    ----------
    batch_size : int or None
        Examples in a batch, as asked for.
    shuffles : bool or None
        Whether its order is drawn; None where that cannot be known.
    drop_last : bool
        Whether a last batch that is not full is left out.
    examples, batches : int or None
        How many there are; None where that is not known.
    passes, given : int
        How many passes were begun, and how many batches were given in all.
    steps : int
        How many optimizer steps were made right after one of its batches.
    """

    batch_size: int | None
    shuffles: bool | None
    drop_last: bool
    examples: int | None
    batches: int | None
    passes: int = 0
    given: int = 0
    steps: int = 0


@dataclass
class Surroundings:
    """All that was seen around the networks.

    Parameters
    ----------
    events : list of Event
        The first events in order.
    loaders : dict of int to LoaderFacts
        The loaders that were used.
    step : int
        How many steps have been made.
    backwards : int
        How many backward passes have been made.
    used : int
        How many of them the last step came after.
    current : int or None
        The loader that gave the last batch.
    paused : bool
        Whether nothing is noted, since the doctor itself is at work.
    """

    events: list[Event] = field(default_factory=list)
    loaders: dict[int, LoaderFacts] = field(default_factory=dict)
    step: int = 0
    backwards: int = 0
    used: int = 0
    current: int | None = None
    paused: bool = False

    def add(self, kind: str, **facts: Any) -> None:
        """Note an event."""
        if len(self.events) < MOST and not self.paused:
            self.events.append(Event(kind, self.step, line_of_reader(), facts))

    def of_kind(self, *kinds: str) -> list[Event]:
        """Return the events of these kinds in order."""
        return [event for event in self.events if event.kind in kinds]

    def stepped(self) -> None:
        """Note that an optimizer made a step."""
        self.step += 1
        self.used = self.backwards
        if self.current is not None:
            self.loaders[self.current].steps += 1


Replace = Callable[[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]], None]


def look_around(around: Surroundings, replace: Replace) -> None:
    """Watch what is called around the networks.

    Parameters
    ----------
    around : Surroundings
        Where it is noted.
    replace : callable
        Takes an owner, the name of one of its functions, and what makes a new function of the old
        one; puts it in place until the watching ends.
    """
    numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
    counter = count()

    def number_of(thing: Any) -> int:
        if thing not in numbers:
            numbers[thing] = next(counter)  # one that is gone leaves its number to nobody
        return numbers[thing]

    def before(note: Callable[..., None]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(original)
            def watched(*args: Any, **kwargs: Any) -> Any:
                note(*args, **kwargs)
                return original(*args, **kwargs)

            return watched

        return wrap

    def after(note: Callable[..., None]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(original)
            def watched(*args: Any, **kwargs: Any) -> Any:
                result = original(*args, **kwargs)
                note(result, *args, **kwargs)
                return result

            return watched

        return wrap

    def optimizer_made(_: None, optimizer: Optimizer, *_args: Any, **_kwargs: Any) -> None:
        count = sum(len(group["params"]) for group in optimizer.param_groups)
        held = frozenset(id(p) for group in optimizer.param_groups for p in group["params"])
        around.add(
            "optimizer",
            name=type(optimizer).__name__,
            parameters=count,
            held=held,
            settings=dict(optimizer.defaults),
            backwards=around.backwards,
        )

    def schedule_made(_: None, schedule: Any, *_args: Any, **_kwargs: Any) -> None:
        around.add("schedule", name=type(schedule).__name__, schedule=number_of(schedule))

    def schedule_steps(schedule: Any, *_args: Any, **_kwargs: Any) -> None:
        if hasattr(schedule, "last_epoch") and schedule.last_epoch >= 0:  # not the first, its own
            around.add("schedule step", name=type(schedule).__name__, schedule=number_of(schedule))

    def clips(
        parameters: Any, max_norm: float, total_norm: Tensor, *_args: Any, **_kw: Any
    ) -> None:
        del parameters  # a name of PyTorch's, by which it may be given
        fresh = around.backwards > around.used
        limit, norm = float(max_norm), float(total_norm)
        around.add("clip", limit=limit, norm=norm, single=False, fresh=fresh)

    def wrap_clipping_of_numbers(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(parameters: Any, clip_value: float, *args: Any, **kwargs: Any) -> Any:
            given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
            gradients = [p.grad for p in given if p.grad is not None]
            largest = max((float(g.abs().max()) for g in gradients if g.numel()), default=0.0)
            fresh = around.backwards > around.used
            around.add("clip", limit=float(clip_value), norm=largest, single=True, fresh=fresh)
            return original(given, clip_value, *args, **kwargs)  # a generator was used up

        return watched

    def loaded(model: nn.Module, state: Any, *_args: Any, **_kwargs: Any) -> None:
        own = {tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers())}
        tensors = [value for value in dict(state).values() if isinstance(value, Tensor)]
        same = bool(tensors) and all(tensor.data_ptr() in own for tensor in tensors)
        around.add("load", own=same)

    def wrap_mode(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(model: nn.Module, mode: bool = True) -> Any:
            if not inside:  # a network sets the mode of its parts
                around.add("train" if mode else "eval")
            inside.append(model)
            try:
                return original(model, mode)
            finally:
                inside.pop()

        return watched

    def loader_begins(loader: DataLoader[Any]) -> None:
        key = number_of(loader)
        facts = around.loaders.setdefault(key, _facts_of(loader))
        facts.passes += 1
        around.add("loader", loader=key)

    def wrap_iter(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(loader: DataLoader[Any]) -> Any:
            loader_begins(loader)
            iterator = original(loader)
            sources[iterator] = number_of(loader)
            return iterator

        return watched

    def wrap_next(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def watched(iterator: Any) -> Any:
            key = sources.get(iterator)
            try:
                batch = original(iterator)
            except StopIteration:
                if key is not None:
                    around.add("end", loader=key)
                raise
            if key is not None:
                around.current = key
                around.loaders[key].given += 1
            return batch

        return watched

    sources: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
    inside: list[nn.Module] = []
    replace(Optimizer, "__init__", after(optimizer_made))
    replace(LRScheduler, "__init__", after(schedule_made))
    replace(LRScheduler, "step", before(schedule_steps))
    replace(ReduceLROnPlateau, "__init__", after(schedule_made))
    replace(ReduceLROnPlateau, "step", before(schedule_steps))
    clipping = nn.utils.clip_grad  # where names that were imported directly are looked up
    replace(clipping, "_clip_grads_with_norm_", before(clips))
    replace(nn.utils, "clip_grad_value_", wrap_clipping_of_numbers)
    replace(nn.Module, "load_state_dict", before(loaded))
    replace(nn.Module, "train", wrap_mode)
    replace(DataLoader, "__iter__", wrap_iter)
    replace(torch.utils.data.dataloader._BaseDataLoaderIter, "__next__", wrap_next)


def _facts_of(loader: DataLoader[Any]) -> LoaderFacts:
    kinds: dict[type, bool] = {RandomSampler: True, SequentialSampler: False}
    shuffles = kinds.get(type(loader.sampler))
    return LoaderFacts(
        loader.batch_size,
        shuffles,
        loader.drop_last,
        examples=_length(loader.dataset),
        batches=_length(loader),
    )


def _length(sized: Any) -> int | None:
    try:
        return len(sized)
    except TypeError:
        return None
