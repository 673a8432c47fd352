"""The training loop, once, for every network of the book."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from dlbook.history import History
from dlbook.progress import epoch_bar
from dlbook.pytorch.checkpoints import Checkpoints
from dlbook.pytorch.data import Batch, sampler_of
from dlbook.pytorch.devices import best_device
from dlbook.pytorch.distributed import (
    parallel,
    process_count,
    rank,
    sum_over_processes,
    synchronized,
)
from dlbook.pytorch.precision import Amp, Precision
from dlbook.pytorch.state import Run, Sums

__all__ = ["Callback", "evaluate", "fit", "predict"]

Callback = Callable[[Run], bool | None]


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
        Takes predictions and targets, returns their mean loss.
    optimizer : torch.optim.Optimizer
        Holds the model's parameters.
    loader : iterable of tuple of Tensor
        Yields the batches (X, y) of an epoch, as ``make_loader`` makes them.
    epochs : int
        How often all examples are shown.
    device : str or torch.device, optional
        As in ``best_device``.
    validation : iterable of tuple of Tensor, optional
        Examples to measure on after each epoch, and never to learn from.
    schedule : LRScheduler, optional
        Changes the rate; it goes on by one after each step of the optimizer, not after each epoch,
        so its times count steps.
    max_norm : float, optional
        Clip the gradients of each step to this joint length.
    accumulate : int, default 1
        How many batches make a step: their gradients are added up, so that the step is that of one
        batch of all their examples.
    amp : {"bf16", "fp16"}, optional
        Compute the products in 16 bits; see ``Precision``.
    compile : bool or str, default False
        Compile the network before training; a string is the mode of ``torch.compile``.
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
        ``patience`` is given without ``validation``, or predictions and targets differ in shape;
        the message gives what came.

    Notes
    -----
    Under ``torchrun`` each process learns from its share of each batch, and the gradients are
    added up, weighted by examples: the run is that of one process with the whole batches.

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
    _check_options(loss, epochs, accumulate, max_norm, patience, validation)
    device = best_device(device)
    precision = Precision(amp, device)
    history = History() if history is None else history
    run = Run(
        model.to(device),
        optimizer,
        loader,
        history,
        schedule=schedule,
        scaler=precision.scaler,
        patience=patience,
    )
    if checkpoints is not None:
        checkpoints.restore(run)
    network = parallel(model)
    if compile:
        network.compile(mode=compile if isinstance(compile, str) else None)
    bar = epoch_bar(epochs, done=run.epoch, shown=progress and rank() == 0)
    with checkpoints or nullcontext(), bar as advance:
        while run.epoch < epochs and not run.finished:
            start = perf_counter() - run.seconds
            model.train()
            for group in _groups(run.batches(), accumulate):
                _learn(network, loss, run, precision, group, max_norm)
                if checkpoints is not None:
                    run.seconds = perf_counter() - start
                    checkpoints.after_step(run)
            row = _named("train", run.sums.means())
            if validation is not None:
                row |= _named(
                    "validation", evaluate(model, loss, validation, device=device, amp=amp)
                )
            run.end_epoch(row, perf_counter() - start)
            for callback in callbacks:
                run.finished |= bool(callback(run))
            if checkpoints is not None:
                checkpoints.after_epoch(run)
            advance(row["train_loss"], optimizer.param_groups[0]["lr"])
    run.best.restore()
    return history


def evaluate(
    model: nn.Module,
    loss: nn.Module,
    loader: Iterable[Batch],
    *,
    device: str | torch.device | None = None,
    amp: Amp | None = None,
) -> dict[str, float]:
    """Measure a network on examples, learning nothing from them.

    Parameters
    ----------
    model : nn.Module
        The network; it is moved to the device, runs in evaluation mode, and is then put back into
        the mode it was in.
    loss : nn.Module
        Takes predictions and targets, returns their mean loss.
    loader : iterable of tuple of Tensor
        Yields the batches (X, y).
    device : str or torch.device, optional
        As in ``best_device``.
    amp : {"bf16", "fp16"}, optional
        Compute the products in 16 bits.

    Returns
    -------
    dict of str to float
        ``loss``, the mean over all examples, and, where targets are classes, ``accuracy`` in
        [0, 1].

    Raises
    ------
    ValueError
        If the device is not there, the loss does not take the mean, or predictions and targets
        differ in shape; the message gives both.

    Examples
    --------
    >>> import numpy as np
    >>> from dlbook.pytorch import MLP, make_loader
    >>> loader = make_loader(np.zeros((3, 2), "float32"), np.array([0, 0, 1]), batch_size=2)
    >>> measured = evaluate(MLP([2, 4]), nn.CrossEntropyLoss(), loader)
    >>> print(f"{measured['loss']:.4f} nats, {measured['accuracy']:.0%} right")
    1.3863 nats, 67% right
    """
    _check_mean(loss)
    device = best_device(device)
    precision = Precision(amp, device)
    model.to(device)
    sampler = sampler_of(loader)
    if sampler is not None:
        sampler.share(rank(), process_count())
    sums = Sums()
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for X, y in loader:
            X, y = X.to(device), y.to(device)
            with precision.autocast():
                Z = model(X)
                batch_loss = _mean_loss(loss, Z, y)
            sums.add(len(y), _measured(loss, batch_loss, Z, y))
    model.train(was_training)
    return sums.means()


def predict(
    model: nn.Module,
    X: Tensor,
    *,
    batch_size: int = 1024,
    device: str | torch.device | None = None,
    amp: Amp | None = None,
) -> Tensor:
    """Compute a network's outputs, a batch at a time.

    Parameters
    ----------
    model : nn.Module
        The network; it is moved to the device, runs in evaluation mode, and is then put back into
        the mode it was in.
    X : Tensor of shape (n, ...)
        Inputs, one example a row.
    batch_size : int, default 1024
        Examples at a time; it changes what memory is needed, not the outputs.
    device : str or torch.device, optional
        As in ``best_device``.
    amp : {"bf16", "fp16"}, optional
        Compute the products in 16 bits.

    Returns
    -------
    Tensor of shape (n, ...)
        The outputs, on the CPU, in the order of the inputs.

    Raises
    ------
    ValueError
        If the device is not there or ``batch_size`` is below 1; the message gives it.

    Examples
    --------
    >>> from dlbook.pytorch import MLP
    >>> predict(MLP([2, 4]), torch.zeros(5, 2), batch_size=2).shape
    torch.Size([5, 4])
    """
    if batch_size < 1:
        raise ValueError(f"expected a batch size of at least 1, got {batch_size}")
    device = best_device(device)
    precision = Precision(amp, device)
    model.to(device)
    was_training = model.training
    model.eval()
    with torch.no_grad(), precision.autocast():
        outputs = [model(rows.to(device)).cpu() for rows in X.split(batch_size)]
    model.train(was_training)
    return torch.cat(outputs)


def _learn(
    network: nn.Module,
    loss: nn.Module,
    run: Run,
    precision: Precision,
    group: Sequence[Batch],
    max_norm: float | None,
) -> None:
    """Make one step from the batches of a group, as from one batch of all their examples."""
    n = sum_over_processes(torch.tensor(sum(len(y) for _, y in group))).item()
    run.optimizer.zero_grad()
    for i, (X, y) in enumerate(group, start=1):
        X, y = X.to(precision.device), y.to(precision.device)
        with synchronized(network, last=i == len(group)):
            with precision.autocast():
                Z = network(X)
                batch_loss = _mean_loss(loss, Z, y)
            # Processes average their gradients; what is wanted is the mean over all n examples.
            precision.backward(batch_loss * (len(y) * process_count() / n))
        run.sums.add(len(y), _measured(loss, batch_loss, Z, y))
    changed = precision.step(run.model, run.optimizer, max_norm)
    if run.schedule is not None and changed:
        run.schedule.step()
    run.step += 1
    run.batch += len(group)


def _groups(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield the batches in groups; the last may be smaller."""
    while group := list(islice(batches, size)):
        yield group


def _mean_loss(loss: nn.Module, Z: Tensor, y: Tensor) -> Tensor:
    """Compute the mean loss of a batch: 0 where this process has no share of it."""
    _check_shapes(Z, y)
    mean: Tensor = loss(Z, y) if len(y) else 0 * Z.sum()
    return mean


def _measured(loss: nn.Module, batch_loss: Tensor, Z: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Return loss and, where targets are classes, right predictions, summed over the batch."""
    wide = torch.float32 if Z.device.type == "mps" else torch.float64  # MPS has no float64
    sums = {"loss": len(y) * batch_loss.detach().to(wide)}
    if isinstance(loss, nn.BCEWithLogitsLoss):
        sums["accuracy"] = ((Z > 0) == (y > 0.5)).to(wide).sum() * len(y) / max(1, y.numel())
    elif not y.is_floating_point():
        sums["accuracy"] = (Z.argmax(dim=1) == y).to(wide).sum()
    return sums


def _named(part: str, measured: dict[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": value for name, value in measured.items()}


def _check_options(
    loss: nn.Module,
    epochs: int,
    accumulate: int,
    max_norm: float | None,
    patience: int | None,
    validation: Iterable[Batch] | None,
) -> None:
    """Refuse what cannot be trained, before anything is changed."""
    _check_mean(loss)
    for name, value in (("epochs", epochs), ("accumulate", accumulate), ("patience", patience)):
        if value is not None and value < 1:
            raise ValueError(f"expected {name} to be at least 1, got {value}")
    if max_norm is not None and not max_norm > 0:
        raise ValueError(f"expected max_norm to be above 0, got {max_norm}")
    if patience is not None and validation is None:
        raise ValueError("expected validation examples to go with patience, got none")


def _check_mean(loss: nn.Module) -> None:
    if getattr(loss, "reduction", "mean") != "mean":
        raise ValueError(f'expected a loss with reduction="mean", got {loss.reduction!r}')


def _check_shapes(Z: Tensor, y: Tensor) -> None:
    """Refuse targets that would broadcast: (n,) against (n, 1) makes an n × n loss."""
    if y.is_floating_point() and Z.shape != y.shape:
        raise ValueError(
            f"expected targets of the predictions' shape {tuple(Z.shape)}, got {tuple(y.shape)}"
        )
