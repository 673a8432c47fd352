"""The training loop, once, for every network of the book."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from time import perf_counter
from typing import TypeGuard

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from dlbook.arguments import check_whole
from dlbook.history import History
from dlbook.progress import epoch_bar
from dlbook.pytorch.callbacks import Callback
from dlbook.pytorch.checkpoints import Checkpoints
from dlbook.pytorch.checks import check_batch, check_run
from dlbook.pytorch.data import Batch, sampler_of
from dlbook.pytorch.devices import best_device
from dlbook.pytorch.distributed import (
    any_process,
    parallel,
    process_count,
    rank,
    share_buffers,
    sum_over_processes,
    synchronized,
)
from dlbook.pytorch.evaluation import batch_loss, evaluate, try_out
from dlbook.pytorch.failures import noting
from dlbook.pytorch.precision import Amp, Precision
from dlbook.pytorch.state import Run

__all__ = ["fit"]


def fit(
    model: nn.Module,
    loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    loader: Iterable[Batch],
    *,
    epochs: int,
    device: str | torch.device | None = None,
    validation: Iterable[Batch] | None = None,
    schedule: LRScheduler | None = None,
    max_norm: float | None = None,
    accumulate: int = 1,
    amp: Amp | None = None,
    compile: bool | str = False,  # noqa: A002  # torch.compile is what it is
    patience: int | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoints: Checkpoints | None = None,
    progress: bool = True,
    history: History | None = None,
) -> History:
    """Train a network and record each epoch.

    ``train_loss`` and ``train_accuracy`` are means over the examples of the epoch, each example
    judged just before the step that learns from it; the validation's are measured at the end of
    the epoch.

    Parameters
    ----------
    model : nn.Module
        The network; it is moved to the device and its parameters change.
    loss : nn.Module
        Takes predictions and targets, returns their mean loss; it is moved to the device.
    optimizer : torch.optim.Optimizer
        Holds the model's parameters.
    loader : iterable of tuple of Tensor
        Yields the batches (X, y) of an epoch each time it is read: what ``make_loader`` makes, or
        a list of batches.
    epochs : int
        How often all examples are shown.
    device : str or torch.device, optional
        As in ``best_device``.
    validation : iterable of tuple of Tensor, optional
        Examples to measure on after each epoch, and never to learn from. The first batch is tried
        before training, so that what cannot be measured is not found out an epoch later.
    schedule : LRScheduler, optional
        Changes the rate; it goes on by one after each step of the optimizer, not after each epoch,
        so its times count steps. ``ReduceLROnPlateau`` alone goes on after each epoch, by the
        validation loss.
    max_norm : float, optional
        Clip the gradients of each step to this joint length.
    accumulate : int, default 1
        How many batches make a step: their gradients are added up, so that the step is that of one
        batch of all their examples.
    amp : {"bf16", "fp16"}, optional
        Compute the products in 16 bits; see ``Precision``.
    compile : bool or str, default False
        Train with a compiled form of the network; a string is the mode of ``torch.compile``.
    patience : int, optional
        Stop early: after so many epochs in a row without a new lowest validation loss. Whether the
        run stops early or not, the model then has the parameters of its best epoch.
    callbacks : sequence of callable, optional
        Each is called with the ``Run`` after each epoch; one that returns True ends the run.
    checkpoints : Checkpoints, optional
        Where to keep the run, so that it can go on after an interruption.
    progress : bool, default True
        Show a progress bar.
    history : History, optional
        Where to record. Pass one to keep what was recorded when Ctrl-C ends the run.

    Returns
    -------
    History
        One row an epoch: ``epoch``, ``train_loss``, ``train_accuracy`` where targets are classes,
        the same two for ``validation`` where it is given, and ``seconds``.

    Raises
    ------
    ValueError
        If a number is out of range, the device is not there, the loss does not take the mean,
        optimizer or schedule would change other things than this run's, validation examples are
        asked for and not given, there is no batch, or predictions and targets do not go together;
        the message gives what came. No parameter has been changed then, unless a later batch is
        at fault.
    TypeError
        If loss, loaders, batches, inputs or targets are of another kind; the message gives what
        came.

    Notes
    -----
    Under ``torchrun`` each process learns from its share of each batch, and the gradients are
    added up, weighted by examples: the run is that of one process with the whole batches.

    Batch normalization takes its means over each batch, also where several make a step.

    A loss that becomes infinite or NaN is recorded as such and does not end the run; no epoch with
    such a validation loss is the best. This callback ends it:
    ``lambda run: not math.isfinite(run.history["train_loss"][-1])``.

    Examples
    --------
    >>> from dlbook.data import load_delivery
    >>> from dlbook.pytorch import MLP, make_loader
    >>> X, Y = load_delivery("float32")
    >>> model = MLP([1, 1])
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    >>> loader = make_loader(X - X.mean(), Y, batch_size=2)
    >>> history = fit(model, nn.MSELoss(), optimizer, loader, epochs=200)
    >>> slope, mean_time = (p.item() for p in model.parameters())
    >>> print(f"{slope:.2f} minutes a mile")
    3.40 minutes a mile
    """
    _check_options(epochs, accumulate, max_norm, patience, validation)
    check_run(model, loss, optimizer, schedule, loader, validation)
    precision = Precision(amp, best_device(device))
    model.to(precision.device)
    loss.to(precision.device)
    _follow(optimizer)
    if validation is not None:
        try_out(model, loss, precision, validation)  # it is refused now, not after an epoch
    run = Run(
        model,
        optimizer,
        loader,
        History() if history is None else history,
        schedule=schedule,
        scaler=precision.scaler,
        patience=patience,
    )
    if checkpoints is not None:
        checkpoints.restore(run)
    network = parallel(model)
    if compile:
        mode = compile if isinstance(compile, str) else None
        # Not network.compile(): that leaves a bare nn.Sequential as it is, and does not say so.
        network = torch.compile(network, mode=mode)  # type: ignore[assignment]  # it is a module
    bar = epoch_bar(epochs, done=run.epoch, shown=progress and rank() == 0)
    with _guarded(run, checkpoints), bar as advance:
        while run.epoch < epochs and not run.finished:
            start = perf_counter() - run.seconds
            model.train()
            for group in _groups(run.batches(), accumulate):
                _learn(network, loss, run, precision, group, max_norm)
                if checkpoints is not None:
                    run.seconds = perf_counter() - start
                    checkpoints.after_step(run)
            share_buffers(model)  # each process has moved its own
            row = _named("train", run.sums.means())
            if validation is not None:
                if (order := sampler_of(validation)) is not None:
                    order.start(run.epoch)  # where rows are shuffled: the same after going on
                measured = evaluate(model, loss, validation, device=precision.device, amp=amp)
                row |= _named("validation", measured)
            if _by_epoch(schedule):
                schedule.step(row["validation_loss"])
            run.end_epoch(row, perf_counter() - start)
            ends = [callback(run) for callback in callbacks]
            run.finished |= any_process(any(ends))
            if checkpoints is not None:
                checkpoints.after_epoch(run)
            advance(row["train_loss"], optimizer.param_groups[0]["lr"])
    run.best.restore()
    return run.history


@contextmanager
def _guarded(run: Run, checkpoints: Checkpoints | None) -> Iterator[None]:
    """Hold the checkpoints for this run alone; add to an error where the run stood."""
    with noting(lambda: _standing(run, checkpoints)), checkpoints or nullcontext():
        yield


def _standing(run: Run, checkpoints: Checkpoints | None) -> str:
    """Say where a run stood, and how to go on."""
    where = f"stopped after step {run.step}, in epoch {run.epoch + 1}"
    if checkpoints is None:
        return f"{where}, without checkpoints to go on from"
    files = checkpoints.files()
    kept = f"the newest checkpoint is {files[0]}" if files else "there is no checkpoint yet"
    return f"{where}; {kept}: start again with resume to go on"


def _learn(
    network: nn.Module,
    loss: nn.Module,
    run: Run,
    precision: Precision,
    group: Sequence[Batch],
    max_norm: float | None,
) -> None:
    """Make one step from the batches of a group, as from one batch of all their examples."""
    n = int(sum_over_processes(torch.tensor(sum(len(y) for _, y in group))))
    if not n:
        raise ValueError("expected at least one example in a batch, got none")
    run.optimizer.zero_grad()
    for i, batch in enumerate(group, start=1):
        # Processes average their gradients; what is wanted is the mean over all n examples.
        weight = len(batch[1]) * process_count() / n
        with synchronized(network, last=i == len(group)):
            precision.backward(weight * batch_loss(network, loss, precision, batch, run.sums))
    changed = precision.step(run.model, run.optimizer, max_norm)
    if changed and run.schedule is not None and not _by_epoch(run.schedule):
        run.schedule.step()
    run.step += 1
    run.batch += len(group)


def _groups(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield the batches in groups; the last may be smaller."""
    while group := list(islice(batches, size)):
        for batch in group:
            check_batch(batch)
        yield group


def _by_epoch(schedule: LRScheduler | None) -> TypeGuard[ReduceLROnPlateau]:
    """Tell whether a schedule waits for the loss of an epoch."""
    return isinstance(schedule, ReduceLROnPlateau)


def _follow(optimizer: torch.optim.Optimizer) -> None:
    """Bring what an optimizer keeps, as Adagrad from the start, to where its parameters are."""
    if any(
        isinstance(part, torch.Tensor) and part.ndim and part.device != p.device
        for p, kept in optimizer.state.items()
        for part in kept.values()
    ):
        optimizer.load_state_dict(optimizer.state_dict())


def _named(part: str, measured: dict[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": value for name, value in measured.items()}


def _check_options(
    epochs: int,
    accumulate: int,
    max_norm: float | None,
    patience: int | None,
    validation: Iterable[Batch] | None,
) -> None:
    """Refuse numbers that make no run."""
    check_whole("epochs", epochs)
    check_whole("accumulate", accumulate)
    if max_norm is not None and not max_norm > 0:
        raise ValueError(f"expected max_norm to be above 0, got {max_norm}")
    if patience is not None:
        check_whole("patience", patience)
        if validation is None:
            raise ValueError("expected validation examples to go with patience, got none")
