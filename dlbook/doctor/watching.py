"""Watching a training loop from beside it: hooks that look and touch nothing."""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from itertools import islice
from numbers import Real
from types import FrameType, TracebackType
from typing import Any, ClassVar, Self, cast
from warnings import catch_warnings

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.utils.data.dataloader import _BaseDataLoaderIter

from dlbook.doctor.experiments import own_draws
from dlbook.doctor.findings import Report
from dlbook.doctor.graphs import graph_of
from dlbook.doctor.habits import observe
from dlbook.doctor.lines import codes_of_reader, line_of_reader
from dlbook.doctor.record import Backward, Break, Call, Mark, ParameterFacts, Record, StepFacts
from dlbook.doctor.rules import diagnose
from dlbook.doctor.stores import observe_stores
from dlbook.doctor.surroundings import look_around
from dlbook.doctor.tape import Recorder, is_transformed

__all__ = ["Watcher", "plain", "watch"]

FIRST = 5  # rounds of a loop that are looked at closely; after them, one in `every`
FEW = 100  # graphs that are marked
TAPES = 40  # passes to a loss that are kept, and as many without one
PARTS = 200  # passes whose inputs' memory is looked at
CALLS = 50_000  # functions that are noted before the recorder is taken away
COPIED = 20_000_000  # numbers in a network whose first state is kept
FUSED = (nn.MultiheadAttention, nn.TransformerEncoder, nn.TransformerEncoderLayer)


class Watcher:
    """What all ways to watch have in common: hooks that note what happens.

    Parameters
    ----------
    every : int
        After its first rounds, one round in so many is looked at closely.
    ignore : collection of str
        Codes of findings that are not to be reported.
    """

    at_work: ClassVar[list[Watcher]] = []

    def __init__(self, every: int, ignore: Collection[str]) -> None:
        if every < 1:
            raise ValueError(f"expected every to be at least 1, got {every}")
        self.record = Record()
        self.every = every
        self.ignore = frozenset(ignore)
        self.paused = False
        self._looked_at: dict[Tensor, Tensor] = {}
        self._undo = ExitStack()
        self._recorder = Recorder(self.record.habits.dropped)
        self._recording = self._evaluates = False
        self._names: dict[int, str] = {}  # of the networks, by their ids
        self._running: list[str] = []  # networks that compute
        self._hooked: set[int] = set()  # ids of parameters
        self._changes: dict[int, list[nn.Module]] = {}  # the networks of each optimizer, by its id
        self._stepping: tuple[FrameType, bool] | None = None
        self._looking = True
        self._entered = 0

    def __enter__(self) -> Self:
        """Begin to watch; within itself a watcher is one watcher."""
        self._entered += 1
        if self._entered > 1:
            return self
        Watcher.at_work.append(self)
        for name, model in self.record.models.items():
            self._add_parameters(name, model)
        for optimizer in self.record.optimizers:
            self._watch_steps(optimizer)
        self._replace(nn.Module, "__call__", self._watched_call)
        self._replace(torch.autograd, "backward", self._watched_backward)
        self._replace(_BaseDataLoaderIter, "__next__", self._watched_fetch)
        look_around(self.record.around, self._replace)
        observe(self.record.habits, self._replace)
        observe_stores(self.record.stores, self._replace)
        self._record()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take all hooks away; what the loop raised goes on its way."""
        self._entered -= 1
        if self._entered:
            return
        self.record.error = error
        self._end_step()
        self._keep_evaluation()
        self._stop_recording()
        self._undo.close()
        Watcher.at_work.remove(self)
        self._hooked.clear()

    def report(self) -> Report:
        """Say what is known by now.

        Returns
        -------
        Report
            The findings.
        """
        self.record.taught.update(self._recorder.taught)
        with ExitStack() as quiet:
            for watcher in {self, *Watcher.at_work}:  # others watch the doctor's experiments too
                quiet.enter_context(watcher._pausing())
            quiet.enter_context(own_draws())
            quiet.enter_context(catch_warnings(action="ignore"))  # the program's own, once more
            found = [f for f in diagnose(self.record) if f.code not in self.ignore]
        steps = self.record.counts["step"]
        seen = f"{steps} step{'s' * (steps != 1)}"
        if self.record.trouble:
            seen += f" ({'; '.join(self.record.trouble)})"
        return Report.of(found, seen=seen)

    @contextmanager
    def _pausing(self) -> Iterator[None]:
        """Note nothing within."""
        record = self.record
        noting: tuple[Any, ...] = (self, record.around, record.habits, record.stores)
        before = [one.paused for one in noting]
        for one in noting:
            one.paused = True
        try:
            with self._recorder.resting():
                yield
        finally:
            for noted, paused in zip(noting, before, strict=True):
                noted.paused = paused

    def log(self, **values: float) -> None:
        """Note measures of one's own, such as a validation accuracy; they belong to the last step.

        Parameters
        ----------
        **values : float
            Numbers by their names: ``w.log(val_accuracy=0.93)``. Tensors of one number are numbers.

        Raises
        ------
        TypeError
            If a value is no number; the message names it. Nothing is noted then.
        """
        with self._recorder.resting():
            read = {name: _number(name, value) for name, value in values.items()}
        self.record.logged.append((self.record.counts["step"], read))

    def add_model(self, name: str, model: nn.Module) -> None:
        """Watch one more network.

        Parameters
        ----------
        name : str
            How reports name it; empty where there is only one.
        model : nn.Module
            The network.
        """
        model = plain(model)
        self._names[id(model)] = name
        self.record.models[name] = model
        with self._recorder.resting():
            self.record.initial[name] = _state(model)
        if self._entered:
            self._add_parameters(name, model)

    def _add_parameters(self, name: str, model: nn.Module) -> None:
        """Watch those parameters of a network that are not watched yet."""
        for own_name, p in model.named_parameters():
            if is_lazy(p) or not isinstance(
                p, nn.Parameter
            ):  # stands in for one in functional_call
                continue
            facts = ParameterFacts(f"{name}.{own_name}".lstrip("."), p)
            facts = self.record.parameters.setdefault(id(p), facts)
            if p.requires_grad and id(p) not in self._hooked:
                self._hooked.add(id(p))
                self._attach(p.register_hook(self._arrival_hook(facts)))  # type: ignore[no-untyped-call]

    def add_optimizer(self, optimizer: Optimizer) -> None:
        """Watch one more optimizer.

        Parameters
        ----------
        optimizer : Optimizer
            The optimizer.
        """
        self.record.optimizers.append(optimizer)
        self.record.settings.append(
            [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
        )
        if self._entered:
            self._watch_steps(optimizer)

    def _watch_steps(self, optimizer: Optimizer) -> None:
        self._attach(optimizer.register_step_pre_hook(self._before_step))
        self._attach(optimizer.register_step_post_hook(self._after_step))

    def _attach(self, handle: Any) -> None:
        self._undo.callback(handle.remove)

    def _replace(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        setattr(owner, name, wrap(original))
        self._undo.callback(setattr, owner, name, original)

    def _record(self) -> None:
        """Let the recorder note what is called from here on, while there is room."""
        if not self._recording:
            self._recorder.__enter__()  # type: ignore[no-untyped-call]
            self._recording = True

    def _stop_recording(self) -> None:
        """Take the recorder away, unless something of the reader's was put on top of it."""
        if self._recording and self._recorder.stop():
            self._keep_evaluation()
            self._recording = False

    def _watched_call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Watch the calls of networks; nothing is hung on them that a copy or a file would keep."""

        @wraps(original)
        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling():  # first of all: a compiler reads no further
                return original(module, *args, **kwargs)
            if self._running and len(self._names) == 1:  # within the one that there is
                return original(module, *args, **kwargs)
            name = self._name_of(module)
            if name in self._running or self.paused or is_transformed():
                name = None
            if name is not None:
                return self._watched_pass(name, module, original, args, kwargs)
            if isinstance(module, FUSED) and not module.training:  # it asks whether there is a mode
                with self._recorder.resting():
                    return original(module, *args, **kwargs)
            return original(module, *args, **kwargs)

        return call

    def _watched_pass(
        self,
        name: str,
        model: nn.Module,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Let a network compute, and note it."""
        self._ends_if_raised()
        again = torch._C._current_graph_task_id() != -1  # a backward pass is under way
        if again:
            self._computed_again(name, model)
        else:
            self._note_forward(name, model, args)
        outermost = not self._recorder.depth
        if outermost and not again:
            evaluates = not (torch.is_grad_enabled() and model.training)
            self._begin_tape(evaluates, (args, kwargs))
        self._running.append(name)
        try:
            with self._recorder.resting():
                given = None
                if outermost and self._recording:
                    given = self._recorder.spec(args), self._recorder.spec(kwargs)
                result = original(model, *args, **kwargs)
                if given is not None:
                    self._recorder.network(name, *given, result, line_of_reader())
        finally:
            self._running.remove(name)
        if torch.is_grad_enabled() and not model.training:
            self.record.habits.output(result)
        return result

    def _note_forward(self, name: str, model: nn.Module, args: tuple[Any, ...]) -> None:
        self.record.event("forward")
        with_gradients = torch.is_grad_enabled()
        key = (name, model.training, with_gradients)
        call = self.record.forwards.get(key)
        if call is None:
            call = self.record.forwards[key] = Call(where=line_of_reader())
        call.count += 1
        if call.count <= 2:
            for code, at_work in codes_of_reader().items():
                self.record.at_work.setdefault(code, set()).add(at_work)
        call.later += self.record.counts["step"] > 0
        if model.training and with_gradients:
            unused = self.record.unused.get(name)
            if unused is None:
                unused = self.record.unused[name] = Call(where=line_of_reader())
            unused.count += 1
        if with_gradients and name not in self.record.modes:
            self.record.modes[name] = {n: m.training for n, m in model.named_modules()}
        self._note_inputs(name, args, trains=model.training and with_gradients)

    def _computed_again(self, name: str, model: nn.Module) -> None:
        """Note that a pass without gradients was one that checkpointing repeats with them."""
        first = self.record.forwards.get((name, model.training, False))
        if first is None or not torch.is_grad_enabled():
            return
        key = (name, model.training, True)
        self.record.forwards.setdefault(key, Call(where=first.where)).count += 1
        first.count -= 1
        if not first.count:
            del self.record.forwards[name, model.training, False]

    def _name_of(self, module: nn.Module) -> str | None:
        """Return the name of the network that is called; None if it is none that is watched."""
        return self._names.get(id(plain(module)))

    def _begin_tape(self, evaluates: bool, given: Any) -> None:
        """Keep the tape of an evaluation; take the recorder away once there are enough.

        A network that is given what another one gave out goes on with the same pass.
        """
        kept = self.record.evaluations if evaluates else self.record.tapes
        room = len(kept) < TAPES and self._recorder.calls < CALLS
        if not room and not self._recording:
            return
        goes_on = evaluates == self._evaluates and not self._recorder.finished
        if not goes_on or (evaluates and not self._recorder.follows(given)):
            self._keep_evaluation()
        self._evaluates = evaluates
        if room:
            self._record()
        else:
            self._stop_recording()

    def _keep_evaluation(self) -> None:
        """Keep a pass that no backward pass followed, and begin a new tape."""
        tape = self._recorder.tape
        kept = self.record.evaluations
        if tape.networks and not self._recorder.finished and len(kept) < TAPES:
            kept.append(tape)
        self._recorder.begin()

    def _arrival_hook(self, facts: ParameterFacts) -> Callable[[Tensor], None]:
        def arrives(gradient: Tensor) -> None:
            if self.paused:
                return
            first, facts.arrived = not facts.arrived, True
            facts.arrivals += 1
            if not self._looking:
                return
            facts.nonzero = facts.nonzero or _any(gradient)
            if not facts.fresh:
                earlier = facts.parameter.grad
                handled = first and earlier is not None and earlier._version != facts.version
                facts.fresh = earlier is None or handled or not _any(earlier)

        return arrives

    def _before_step(self, optimizer: Optimizer, *_: object) -> None:
        if self.paused:
            return
        self.record.event("step")
        self._ends_if_raised()
        if self._stepping is None:
            self._stepping = sys._getframe(1), self._recorder.leave()
        number = self.record.counts["step"]
        if not self.record.step_line:
            self.record.step_line = line_of_reader()
        for tape in self.record.tapes[-1:]:
            tape.stepped = True
        if self._looks(number) or id(optimizer) not in self._changes:
            self._changes[id(optimizer)] = self._changed_by(optimizer)
        changes = self._changes[id(optimizer)]
        trains = not changes or any(model.training for model in changes)
        self.record.habits.stepping = True
        self.record.habits.step(_rate(optimizer), trains)
        if not self._looks(number):
            return
        for name, model in self.record.models.items():
            self._add_parameters(name, model)  # a layer may have been replaced
        held = list(_held(optimizer))
        gradients = {id(p): p.grad for p in held if p.grad is not None}
        norms = {key: _norm(gradient) for key, gradient in gradients.items()}
        facts = StepFacts(
            number,
            optimizer=next(i for i, o in enumerate(self.record.optimizers) if o is optimizer),
            rate=_rate(optimizer),
            arrived=any(facts.nonzero for facts in self._facts(optimizer)),
            missing=len(held) - len(gradients),
            zero=sum(norm == 0 for norm in norms.values()),
            held=len(held),
            gradients=norms,
            weights={id(p): _norm(p.detach()) for p in held},
            training=all(model.training for model in self.record.models.values()),
        )
        self.record.steps.append(facts)
        copied = sorted((p for p in held if p.grad is not None), key=Tensor.numel)
        self._looked_at = {
            p: p.detach().clone() for p in islice(copied, None if number <= FIRST else 4)
        }

    def _after_step(self, optimizer: Optimizer, *_: object) -> None:
        if self.paused:
            return
        self.record.around.stepped()
        self.record.habits.stepping = False
        number = self.record.counts["step"]
        looked, self._looking = self._looks(number), self._looks(number + 1)
        if looked or self._looking or len(self.record.optimizers) > 1:
            self._end_round(optimizer, looked)
        if self._looked_at:
            changes = {id(p): _norm(p.detach() - old) for p, old in self._looked_at.items()}
            self.record.steps[-1].changes = changes
            self.record.steps[-1].lost = {
                id(p): _share_kept(p, old) for p, old in self._looked_at.items()
            }
            self.record.steps[-1].changed = any(
                not torch.equal(p, before) for p, before in self._looked_at.items()
            )
            self._looked_at = {}
        if self._stepping is not None and self._stepping[0] is sys._getframe(1):
            self._end_step()
        if not self._recorder.finished:
            self._recorder.begin()

    def _end_round(self, optimizer: Optimizer, looked: bool) -> None:
        """Count what arrived since the step before, if the round was looked at; begin anew."""
        for facts in self._facts(optimizer):
            if facts.arrived and facts.stepped and looked:
                facts.cycles += 1
                facts.kept += not facts.fresh
            facts.arrived = facts.nonzero = facts.fresh = False
            facts.stepped = True
            facts.version = -1 if facts.parameter.grad is None else facts.parameter.grad._version

    def _end_step(self) -> None:
        """Let the recorder come back after a step."""
        if self._stepping is not None:
            self._recorder.come_back(self._stepping[1])
            self._stepping = None

    def _ends_if_raised(self) -> None:
        """End a step that raised: the function that called its hooks is no longer under way."""
        if self._stepping is None:
            return
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame is self._stepping[0]:
                return
            frame = frame.f_back
        self._end_step()

    def _watched_backward(self, original: Callable[..., None]) -> Callable[..., None]:
        @wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            self._ends_if_raised()
            loss = tensors if isinstance(tensors, Tensor) else next(iter(tensors), None)
            with self._recorder.resting():
                if not self.paused and isinstance(loss, Tensor):
                    self._note_backward(loss)
                original(tensors, *args, **kwargs)

        return backward

    def _watched_fetch(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Let loaders fetch unnoted after the first rounds: they call functions by the hundred."""

        @wraps(original)
        def fetch(batches: Any) -> Any:
            if not self._recording or self.record.counts["forward"] <= FIRST:
                return original(batches)
            with self._recorder.resting():
                return original(batches)

        return fetch

    def _note_backward(self, loss: Tensor) -> None:
        self.record.event("backward")
        self.record.habits.backward()
        self.record.unused.clear()
        self._mark_graph(loss)
        value = float(loss.detach()) if loss.numel() == 1 else float("nan")
        self.record.losses.append(value)
        self.record.around.backwards += 1
        if self.record.broken is None and loss.numel() == 1 and not math.isfinite(value):
            self._note_break(loss)
        if self._reads(self.record.counts["backward"]):
            steps = self.record.counts["step"]
            where = line_of_reader()
            self.record.backwards.append(
                Backward(graph_of(loss), steps, loss.grad_fn is None, where)
            )
        if self._recording:
            tape = self._recorder.finish(loss)
            tape.value = value
            if tape.networks and len(self.record.tapes) < TAPES:
                self.record.tapes.append(tape)

    def _note_break(self, loss: Tensor) -> None:
        """Look closely at the first loss that is not finite."""
        bad = [
            facts.name
            for facts in self.record.parameters.values()
            if not bool(facts.parameter.isfinite().all())
        ]
        number, steps = len(self.record.losses) - 1, self.record.counts["step"]
        where = line_of_reader()
        self.record.broken = Break(number, steps, tuple(bad), graph_of(loss), where)

    def _mark_graph(self, loss: Tensor) -> None:
        """Note that backward was called on a graph, and now and then how many of these live."""
        marks = self.record.marks
        if loss.grad_fn is None or len(marks) == FEW:
            return
        mark, metadata = Mark(), cast("dict[str, object]", loss.grad_fn.metadata)
        metadata["dlbook.doctor"] = mark
        marks.append(weakref.ref(mark))
        if len(marks) % FIRST == 0:
            alive = sum(mark() is not None for mark in marks)
            self.record.graphs_kept = max(self.record.graphs_kept, (alive, len(marks)))

    def _changed_by(self, optimizer: Optimizer) -> list[nn.Module]:
        """Return the networks that an optimizer changes."""
        held = {id(p) for p in _held(optimizer)}
        return [
            model
            for model in self.record.models.values()
            if any(id(p) in held for p in model.parameters())
        ]

    def _facts(self, optimizer: Optimizer) -> Iterator[ParameterFacts]:
        """Yield what is known of the parameters that an optimizer holds."""
        known = self.record.parameters
        return (known[id(p)] for p in _held(optimizer) if id(p) in known)

    def _note_inputs(self, name: str, args: tuple[Any, ...], *, trains: bool) -> None:
        """Note which examples come, in the first passes of a run and of its evaluations."""
        habits = self.record.habits
        if trains and self.record.counts["forward"] <= PARTS:
            habits.input(args)
        habits.note_rows(name, args, trains=trains, most=PARTS)

    def _looks(self, number: int) -> bool:
        return number <= FIRST or number % self.every == 0

    def _reads(self, number: int) -> bool:
        """Tell whether a graph is read: ever more rarely, since it is slow and they are kept."""
        times, rest = divmod(number, self.every)
        return number <= FIRST or (not rest and times & (times - 1) == 0)


class watch(Watcher):  # noqa: N801  # read as the statement that it makes: with watch(...)
    """Watch a training loop, and say what is wrong with it.

    Parameters
    ----------
    model : nn.Module, or sequence or mapping of nn.Module
        The network or networks.
    optimizer : Optimizer or sequence of Optimizer
        What trains them.
    loss_fn : callable, optional
        The loss; losses of ``torch.nn.functional`` are seen without it.
    every : int, default 10
        After its first rounds, one round in so many is looked at closely.
    ignore : collection of str, optional
        Codes of findings that are not to be reported.

    Notes
    -----
    The loop within computes the same bits as without: nothing is drawn, nothing is written.

    Examples
    --------
    >>> from torch.nn import functional
    >>> model = nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with watch(model, optimizer) as w:
    ...     for _ in range(5):
    ...         loss = functional.mse_loss(model(torch.ones(4, 2)), torch.ones(4, 1))
    ...         loss.backward()
    ...         optimizer.step()
    >>> [finding.code for finding in w.report().findings]
    ['gradients-not-cleared']
    """

    def __init__(
        self,
        model: nn.Module | Sequence[nn.Module] | Mapping[str, nn.Module],
        optimizer: Optimizer | Sequence[Optimizer],
        loss_fn: Callable[..., Tensor] | None = None,
        *,
        every: int = 10,
        ignore: Collection[str] = (),
    ) -> None:
        super().__init__(every, ignore)
        self.models = _named(model)
        self.optimizers = [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)
        self.loss_fn = loss_fn

    def __enter__(self) -> Self:
        """Begin to watch."""
        if not self.record.models:
            for name, model in self.models.items():
                self.add_model(name, model)
            for optimizer in self.optimizers:
                self.add_optimizer(optimizer)
        return super().__enter__()


def _named(
    model: nn.Module | Sequence[nn.Module] | Mapping[str, nn.Module],
) -> dict[str, nn.Module]:
    if isinstance(model, nn.Module):
        return {"": model}
    if isinstance(model, Mapping):
        return dict(model)
    return {str(number): part for number, part in enumerate(model)}


def _rate(optimizer: Optimizer) -> float:
    return max(float(group.get("lr", 0)) for group in optimizer.param_groups)


def plain(model: nn.Module) -> nn.Module:
    """Return the network itself, where what is called only compiles or distributes it.

    Parameters
    ----------
    model : nn.Module
        What is called.

    Returns
    -------
    nn.Module
        The network within.
    """
    while True:
        if "_orig_mod" in model._modules:  # torch.compile
            model = cast("nn.Module", model._modules["_orig_mod"])
        elif isinstance(model, (DataParallel, DistributedDataParallel)):
            model = model.module
        else:
            return model


def _number(name: str, value: object) -> float:
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        value = value.item()
    if not isinstance(value, Real) or isinstance(value, bool):
        shown = (
            f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        )
        raise TypeError(f"expected a number for {name}, got {shown}")
    return float(value)


def _held(optimizer: Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _norm(tensor: Tensor) -> float:
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    if tensor.is_complex():
        tensor = tensor.abs()
    return float(tensor.float().norm())


def _any(tensor: Tensor) -> bool:
    """Tell whether any number is not 0: by the norm, which is faster, where no square vanishes."""
    return (tensor.layout is torch.strided and bool(tensor.norm())) or bool(tensor.any())


def _share_kept(parameter: Tensor, before: Tensor) -> float:
    """Of the numbers with a gradient other than zero, return the share that stayed as they were."""
    gradient = parameter.grad
    if gradient is None or gradient.is_sparse or not _any(gradient):
        return 0.0
    meant = gradient != 0
    kept = (parameter.detach() == before).logical_and_(meant)
    return int(kept.count_nonzero()) / int(meant.count_nonzero())


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Copy what a network holds, if it is small enough and all of it is there."""
    state = model.state_dict(keep_vars=True)
    tensors = [value for value in state.values() if isinstance(value, Tensor)]
    if any(is_lazy(t) for t in tensors) or sum(t.numel() for t in tensors) > COPIED:
        return {}
    return {key: t.detach().clone() for key, t in state.items() if isinstance(t, Tensor)}
