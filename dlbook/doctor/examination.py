"""A pre-flight: a few steps on copies, with the doctor watching."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dlbook.doctor.batches import Parts, UndecidedError, parts_of
from dlbook.doctor.findings import Finding, Report
from dlbook.doctor.isolation import Copies, NotCopiedError, read_once
from dlbook.doctor.keeping import unchanged
from dlbook.doctor.watching import watch

__all__ = ["examine"]

OF_WHOLE_RUNS = ("stopped-while-falling",)  # what a few steps cannot tell
STEPS = 50  # batches that are trained on
EVALUATIONS = 10  # batches that are evaluated
TRAINING, EVALUATING = 0.5, 0.6  # of the budget that is used when they end; the rules get the rest
NOT_EXAMINED = "not-examined"
NO_BATCH = object()
NO_LOADERS = (str, bytes, Mapping, Tensor, np.ndarray)  # iterable, and made of no batches


def examine(
    model: nn.Module,
    loss_fn: Callable[..., Tensor],
    optimizer: Optimizer,
    train_loader: Iterable[Any],
    val_loader: Iterable[Any] | None = None,
    *,
    ignore: Collection[str] = (),
    budget_seconds: float = 10,
) -> Report:
    """Train a few steps on copies, and say what is wrong.

    Each step computes ``loss_fn(model(inputs), targets)``; the rules are those of ``watch``. What
    the pieces raise is explained in the report, and not raised.

    Parameters
    ----------
    model : nn.Module
        The network.
    loss_fn : callable
        Takes the network's output and the targets, returns the loss.
    optimizer : Optimizer
        What trains the network.
    train_loader, val_loader : iterable
        Yield batches: (inputs, targets), where inputs may be a tuple or a mapping themselves, or a
        mapping whose keys are arguments of the network, with the target as the one tensor more.
    ignore : collection of str, optional
        Codes of findings that are not to be reported.
    budget_seconds : float, default 10
        How long it may take, in seconds; looked at between two steps.

    Returns
    -------
    Report
        The findings. What could not be examined, such as a loader that can be read only once,
        stands there as a note.

    Raises
    ------
    TypeError
        If an argument is of a wrong kind; the message gives what was expected and what came.
    ValueError
        If the budget is negative.

    Notes
    -----
    Nothing is changed: weights, buffers, gradients, the optimizer's state, modes, all generators of
    random numbers, what the loaders yield next. Network, optimizer, loss and loaders are copied;
    what their functions use that stands outside of them, such as a generator in a closure, is put
    back. What is written to files, printed, or kept by installed packages is not.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=1))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> batches = [(torch.randn(8, 2), torch.randint(3, (8,))) for _ in range(4)]
    >>> report = examine(model, nn.CrossEntropyLoss(), optimizer, batches)
    >>> report.findings[0].title
    'softmax is applied twice'
    """
    loaders = {"train_loader": train_loader}
    if val_loader is not None:
        loaders["val_loader"] = val_loader
    _check(model, loss_fn, optimizer, loaders, ignore, budget_seconds)
    start = monotonic()
    with torch.inference_mode(False):  # gradients are on, whatever stands around
        try:
            trial = _Trial(model, loss_fn, optimizer)
        except NotCopiedError as error:
            return _told(Report.of([], seen=""), 0, {"the network": str(error)}, ignore)
        for name, loader in loaders.items():
            trial.add(name, loader)
        with unchanged(trial.copies.in_common()):
            unknown = {*ignore, *OF_WHOLE_RUNS}
            watcher = watch(trial.model, trial.optimizer, trial.loss_fn, ignore=unknown)
            watcher.record.validation_given = val_loader is not None
            watcher.record.deadline = start + budget_seconds
            with suppress(Exception), watcher:  # what was raised is in the record
                trial.train(until=start + TRAINING * budget_seconds)
                trial.evaluate(until=start + EVALUATING * budget_seconds)
            report = watcher.report()
    return _told(report, trial.batches, trial.omitted, ignore)


class _Trial:
    """Copies of the pieces, and a short run on them.

    Attributes
    ----------
    batches : int
        How many were trained on and evaluated.
    omitted : dict of str to str
        What was not examined, and why.
    """

    def __init__(
        self, model: nn.Module, loss_fn: Callable[..., Tensor], optimizer: Optimizer
    ) -> None:
        self.copies = Copies()
        self.model = self.copies.model(model)
        self.loss_fn = self.copies.plain(loss_fn)
        self.optimizer = self.copies.optimizer(optimizer)
        if isinstance(self.model, torch.jit.ScriptModule):
            raise NotCopiedError("TorchScript cannot be watched")
        kind = read_once(self.copies.in_common())
        if kind:
            raise NotCopiedError(f"a function reads from a {kind}, which can be read only once")
        self.needs_closure = _needs_closure(optimizer)
        devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
        self.device = devices.pop() if len(devices) == 1 else None
        self.loaders: dict[str, Iterable[Any]] = {}
        self.batches = 0
        self.omitted: dict[str, str] = {}

    def add(self, name: str, loader: Iterable[Any]) -> None:
        """Take a copy of a loader, or note why there is none."""
        try:
            self.loaders[name] = self.copies.loader(loader)
        except NotCopiedError as error:
            self.omitted[name] = str(error)

    def train(self, until: float) -> None:
        """Train for some steps, over the loader again where it has fewer batches."""
        if not self.model.training:
            self.model.train()  # else as it is: parts may be in evaluation mode on purpose
        batches = _again_and_again(self.loaders.get("train_loader", ()))
        for parts in self._parts("train_loader", batches, STEPS, until):
            self._step(parts)
            self.batches += 1

    def evaluate(self, until: float) -> None:
        """Compute the loss of some batches without gradients in evaluation mode."""
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        with torch.no_grad():
            batches = iter(self.loaders.get("val_loader", ()))
            for parts in self._parts("val_loader", batches, EVALUATIONS, until):
                self._loss(parts)
                self.batches += 1
        for module, mode in modes:
            module.training = mode

    def _step(self, parts: Parts) -> None:
        def closure() -> Tensor:
            self.optimizer.zero_grad()
            loss = self._loss(parts)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        if self.needs_closure:
            self.optimizer.step(closure)  # type: ignore[arg-type]
        else:
            closure()
            self.optimizer.step()

    def _loss(self, parts: Parts) -> Tensor:
        loss: Tensor = self.loss_fn(self.model(*parts.args, **parts.kwargs), *parts.targets)
        return loss

    def _parts(self, name: str, batches: Iterator[Any], most: int, until: float) -> Iterator[Parts]:
        """Yield batches, as inputs and targets on the network's device, while there is time."""
        given, reason = 0, "the budget was used up before"
        while given < most and monotonic() < until:
            batch = next(batches, NO_BATCH)
            if batch is NO_BATCH:
                reason = "it gave no batch"
                break
            try:
                parts = parts_of(batch, self.model, self.loss_fn)
            except UndecidedError as error:
                self.omitted[name] = str(error)
                return
            given += 1
            yield parts.to(self.device)
        if name in self.loaders and not given:
            self.omitted[name] = reason


def _again_and_again(loader: Iterable[Any]) -> Iterator[Any]:
    """Yield the batches of one epoch after the other, until an epoch has none."""
    given = True
    while given:
        given = False
        for batch in loader:
            given = True
            yield batch


def _needs_closure(optimizer: Optimizer) -> bool:
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is closure.empty


def _told(
    report: Report, batches: int, omitted: Mapping[str, str], ignore: Collection[str]
) -> Report:
    """Say in a report what was examined, and in a note what was not."""
    seen = f"{batches} batch{'es' * (batches != 1)} examined"
    if omitted:
        seen += f", without {' and '.join(omitted)}"
    notes = () if not omitted or NOT_EXAMINED in ignore else (_note(omitted),)
    return replace(report, findings=(*report.findings, *notes), seen=seen)


def _note(omitted: Mapping[str, str]) -> Finding:
    return Finding(
        NOT_EXAMINED,
        "note",
        f"{' and '.join(omitted)} {'was' if len(omitted) == 1 else 'were'} not examined",
        evidence="; ".join(f"{name}: {reason}" for name, reason in omitted.items()),
        why="What is wrong there does not show in this report.",
        fix="watch the loop itself: with watch(model, optimizer) as w: ...",
    )


def _check(
    model: object,
    loss_fn: object,
    optimizer: object,
    loaders: Mapping[str, object],
    ignore: object,
    budget_seconds: object,
) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected model to be an nn.Module, got {_kind(model)}")
    if isinstance(loss_fn, type) or not callable(loss_fn):
        raise TypeError(
            f"expected loss_fn to be a function or a module such as nn.MSELoss(), "
            f"got {_kind(loss_fn)}"
        )
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"expected an optimizer of torch.optim, got {_kind(optimizer)}")
    for name, loader in loaders.items():
        yields = isinstance(loader, Iterable) or hasattr(type(loader), "__getitem__")
        if isinstance(loader, (type, *NO_LOADERS)) or not yields:
            raise TypeError(
                f"expected {name} to yield batches, as a DataLoader or a list of them, "
                f"got {_kind(loader)}"
            )
    if isinstance(ignore, str) or not isinstance(ignore, Collection):
        raise TypeError(f"expected ignore to be a list of codes, got {ignore!r}")
    if not isinstance(budget_seconds, int | float) or isinstance(budget_seconds, bool):
        raise TypeError(f"expected budget_seconds to be a number, got {budget_seconds!r}")
    if not budget_seconds >= 0:
        raise ValueError(f"expected budget_seconds of at least 0, got {budget_seconds}")


def _kind(thing: object) -> str:
    """Name what came: a class by its own name, anything else by that of its class."""
    if isinstance(thing, type):
        return f"the class {thing.__qualname__}"
    return type(thing).__name__
