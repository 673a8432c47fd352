"""Watching a training loop from beside it: hooks that look and touch nothing."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import wraps
from itertools import islice
from types import TracebackType
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from dlbook.doctor.findings import Report
from dlbook.doctor.record import (
    Call,
    LossCall,
    Mark,
    ParameterFacts,
    Record,
    StepFacts,
    line_of_reader,
)
from dlbook.doctor.rules import diagnose

__all__ = ["Watcher", "watch"]

LOSSES = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
)
FIRST = 5  # rounds of a loop that are looked at closely; after them, one in `every`
FEW = 100  # calls of losses and losses themselves that are kept


class Watcher:
    """What all ways to watch have in common: hooks that note what happens.

    Parameters
    ----------
    every : int
        After its first rounds, one round in so many is looked at closely.
    ignore : collection of str
        Codes of findings that are not to be reported.
    """

    def __init__(self, every: int, ignore: Collection[str]) -> None:
        if every < 1:
            raise ValueError(f"expected every to be at least 1, got {every}")
        self.record = Record()
        self.every = every
        self.ignore = frozenset(ignore)
        self._looked_at: dict[Tensor, Tensor] = {}
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        """Begin to watch."""
        for name in LOSSES:
            self._replace(functional, name, self._watched_loss)
        self._replace(Tensor, "backward", self._watched_backward)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take all hooks away; what the loop raised goes on its way."""
        self.record.error = error
        self._undo.close()

    def report(self) -> Report:
        """Say what is known by now.

        Returns
        -------
        Report
            The findings.
        """
        found = [f for f in diagnose(self.record) if f.code not in self.ignore]
        steps = self.record.counts["step"]
        return Report.of(found, seen=f"{steps} step{'s' * (steps != 1)}")

    def add_model(self, name: str, model: nn.Module) -> None:
        """Watch one more network.

        Parameters
        ----------
        name : str
            How reports name it; empty where there is only one.
        model : nn.Module
            The network.
        """
        self.record.models[name] = model
        self._attach(model.register_forward_pre_hook(self._forward_hook(name)))
        self._add_parameters(name, model)

    def _add_parameters(self, name: str, model: nn.Module) -> None:
        """Watch those parameters of a network that are not watched yet."""
        for own_name, p in model.named_parameters():
            if id(p) in self.record.parameters or isinstance(p, UninitializedParameter):
                continue
            facts = ParameterFacts(f"{name}.{own_name}".lstrip("."), p)
            self.record.parameters[id(p)] = facts
            if p.requires_grad:
                self._attach(p.register_hook(self._arrival_hook(facts)))  # type: ignore[no-untyped-call]

    def add_optimizer(self, optimizer: Optimizer) -> None:
        """Watch one more optimizer.

        Parameters
        ----------
        optimizer : Optimizer
            The optimizer.
        """
        self.record.optimizers.append(optimizer)
        self._attach(optimizer.register_step_pre_hook(self._before_step))
        self._attach(optimizer.register_step_post_hook(self._after_step))

    def _attach(self, handle: Any) -> None:
        self._undo.callback(handle.remove)

    def _replace(self, owner: Any, name: str, wrap: Callable[[str, Any], Any]) -> None:
        original = getattr(owner, name)
        setattr(owner, name, wrap(name, original))
        self._undo.callback(setattr, owner, name, original)

    def _forward_hook(self, name: str) -> Callable[..., None]:
        def before_forward(model: nn.Module, _inputs: object) -> None:
            self.record.event("forward")
            key = (name, model.training, torch.is_grad_enabled())
            call = self.record.forwards.setdefault(key, Call(where=line_of_reader()))
            call.count += 1
            if model.training and torch.is_grad_enabled():
                unused = self.record.unused.setdefault(name, Call(where=line_of_reader()))
                unused.count += 1

        return before_forward

    def _arrival_hook(self, facts: ParameterFacts) -> Callable[[Tensor], None]:
        def arrives(gradient: Tensor) -> None:
            facts.arrivals += 1
            facts.arrived = True
            if not self._looks(self.record.counts["step"] + 1):
                return
            facts.nonzero = facts.nonzero or bool(gradient.any())
            if not facts.fresh:
                earlier = facts.parameter.grad
                facts.fresh = earlier is None or not bool(earlier.any())

        return arrives

    def _before_step(self, optimizer: Optimizer, *_: object) -> None:
        self.record.event("step")
        number = self.record.counts["step"]
        if not self.record.step_line:
            self.record.step_line = line_of_reader()
        if not self._looks(number):
            return
        for name, model in self.record.models.items():
            self._add_parameters(name, model)  # a layer may have been replaced
        held = list(_held(optimizer))
        gradients = [p.grad for p in held if p.grad is not None]
        facts = StepFacts(
            number,
            rate=max(float(group.get("lr", 0)) for group in optimizer.param_groups),
            arrived=any(facts.nonzero for facts in self._facts(optimizer)),
            missing=len(held) - len(gradients),
            zero=sum(not bool(gradient.any()) for gradient in gradients),
            held=len(held),
        )
        self.record.steps.append(facts)
        small = sorted((p for p in held if p.grad is not None), key=Tensor.numel)
        self._looked_at = {p: p.detach().clone() for p in islice(small, 4)}

    def _after_step(self, optimizer: Optimizer, *_: object) -> None:
        looked = self._looks(self.record.counts["step"])
        for facts in self._facts(optimizer):
            if facts.arrived and facts.stepped and looked:
                facts.cycles += 1
                facts.kept += not facts.fresh
            facts.arrived = facts.nonzero = facts.fresh = False
            facts.stepped = True
        if self._looked_at:
            self.record.steps[-1].changed = any(
                not torch.equal(p, before) for p, before in self._looked_at.items()
            )
            self._looked_at = {}

    def _watched_loss(self, name: str, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @wraps(original)
        def loss(input: Tensor, target: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: A002
            if not torch.compiler.is_compiling() and len(self.record.losses) < FEW:
                made_by = "" if input.grad_fn is None else input.grad_fn.name()
                self.record.losses.append(
                    LossCall(
                        name,
                        made_by,
                        tuple(input.shape),
                        tuple(target.shape),
                        line_of_reader(),
                    )
                )
            return original(input, target, *args, **kwargs)

        return loss

    def _watched_backward(self, _name: str, original: Callable[..., None]) -> Callable[..., None]:
        @wraps(original)
        def backward(loss: Tensor, *args: Any, **kwargs: Any) -> None:
            self.record.event("backward")
            self.record.unused.clear()
            self._mark_graph(loss)
            original(loss, *args, **kwargs)

        return backward

    def _mark_graph(self, loss: Tensor) -> None:
        """Note that backward was called on a graph, and now and then how many of these live."""
        graphs = self.record.graphs
        if loss.grad_fn is None or len(graphs) == FEW:
            return
        mark, metadata = Mark(), cast("dict[str, object]", loss.grad_fn.metadata)
        metadata["dlbook.doctor"] = mark
        graphs.append(weakref.ref(mark))
        if len(graphs) % FIRST == 0:
            alive = sum(graph() is not None for graph in graphs)
            self.record.graphs_kept = max(self.record.graphs_kept, (alive, len(graphs)))

    def _facts(self, optimizer: Optimizer) -> Iterator[ParameterFacts]:
        """Yield what is known of the parameters that an optimizer holds."""
        known = self.record.parameters
        return (known[id(p)] for p in _held(optimizer) if id(p) in known)

    def _looks(self, number: int) -> bool:
        return number <= FIRST or number % self.every == 0


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


def _held(optimizer: Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]
