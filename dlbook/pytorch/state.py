"""A training run as it stands: everything that must be known to go on with it."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from dlbook.history import History
from dlbook.pytorch.data import Batch, sampler_of
from dlbook.pytorch.distributed import process_count, rank, sum_over_processes

__all__ = ["Best", "Run", "Sums"]


class Sums:
    """Sums over the examples seen so far.

    They stay on the device until they are asked for: reading a number from a GPU waits for all
    the work that was given to it.
    """

    def __init__(self) -> None:
        self.examples = 0
        self.totals: dict[str, Tensor] = {}

    def add(self, examples: int, totals: dict[str, Tensor]) -> None:
        """Add what was measured on a batch: sums over its examples, not means."""
        self.examples += examples
        for name, total in totals.items():
            earlier = self.totals.get(name)
            self.totals[name] = total if earlier is None else earlier + total

    def means(self) -> dict[str, float]:
        """Return the means over the examples of all processes."""
        totals = [total.cpu().double() for total in self.totals.values()]
        everyone = sum_over_processes(torch.stack([*totals, torch.tensor(self.examples).double()]))
        *sums, examples = everyone.tolist()
        return {name: total / examples for name, total in zip(self.totals, sums, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Return the sums as plain values."""
        return {"examples": self.examples, "totals": dict(self.totals)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over sums that ``state_dict`` gave."""
        self.examples, self.totals = state["examples"], dict(state["totals"])


class Best:
    """The network as it was after the epoch with the lowest validation loss.

    Parameters
    ----------
    model : nn.Module
        The network.
    patience : int or None
        How many epochs in a row without a new lowest loss end the run; with None nothing is kept.
    """

    def __init__(self, model: nn.Module, patience: int | None) -> None:
        self.model = model
        self.patience = patience
        self.loss = math.inf
        self.waited = 0
        self.kept: dict[str, Any] | None = None

    def is_over(self, loss: float) -> bool:
        """Note an epoch; tell whether the patience is at its end."""
        if self.patience is None:
            return False
        self.waited += 1
        if loss < self.loss:
            self.loss, self.waited = loss, 0
            self.kept = copy.deepcopy(self.model.state_dict())
        return self.waited >= self.patience

    def restore(self) -> None:
        """Put the best parameters and buffers back, if any were kept."""
        if self.kept is not None:
            self.model.load_state_dict(self.kept)

    def state_dict(self) -> dict[str, Any]:
        """Return what is known of the best epoch, as plain values."""
        return {"loss": self.loss, "waited": self.waited, "kept": self.kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` gave."""
        self.loss, self.waited, self.kept = state["loss"], state["waited"], state["kept"]


class Run:
    """A training run, from its first step to its last.

    Parameters
    ----------
    model : nn.Module
        The network, on its device.
    optimizer : torch.optim.Optimizer
        What changes the network's parameters.
    loader : iterable of tuple of Tensor
        Yields the batches (X, y) of an epoch.
    history : History
        Where the epochs are recorded.
    schedule : LRScheduler, optional
        What changes the rate.
    scaler : torch.amp.GradScaler, optional
        What scales the loss, for fp16.
    patience : int, optional
        As in ``fit``.

    Attributes
    ----------
    epoch, batch, step : int
        How many epochs are finished, how many batches of the present one have been learned from,
        and how many steps the optimizer has made.
    seconds : float
        The time that the present epoch took before an interruption.
    finished : bool
        Whether the run ended before its last epoch, because patience or a callback said so.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loader: Iterable[Batch],
        history: History,
        *,
        schedule: LRScheduler | None = None,
        scaler: torch.amp.GradScaler | None = None,
        patience: int | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loader = loader
        self.history = history
        self.schedule = schedule
        self.scaler = scaler
        self.best = Best(model, patience)
        self.sums = Sums()
        self.epoch = self.batch = self.step = 0
        self.seconds = 0.0
        self.finished = False
        self.sampler = sampler_of(loader)
        self.first_epoch = 0
        if self.sampler is not None:
            self.first_epoch = self.sampler.epoch
            self.sampler.share(rank(), process_count())

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the present epoch from which nothing has been learned yet."""
        if self.sampler is not None:
            self.sampler.start(self.first_epoch + self.epoch, self.batch)
        elif self.batch:
            raise ValueError(
                "expected a loader that can start in the middle of an epoch, as make_loader "
                f"makes them: {self.batch} batches of this epoch have been learned from"
            )
        return iter(self.loader)

    def end_epoch(self, row: dict[str, float], seconds: float) -> None:
        """Record an epoch and turn to the next."""
        self.history.record(**row, seconds=seconds)
        self.finished = self.best.is_over(row.get("validation_loss", math.nan))
        self.sums = Sums()
        self.epoch, self.batch, self.seconds = self.epoch + 1, 0, 0.0
