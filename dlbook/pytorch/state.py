"""A training run as it stands: everything that must be known to go on with it."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from dlbook.history import History
from dlbook.pytorch.data import Batch
from dlbook.pytorch.differences import differences, usable_generators
from dlbook.pytorch.distributed import (
    gather_to_first,
    process_count,
    rank,
    share_out,
    sum_over_processes,
)
from dlbook.pytorch.randomness import generators_state, set_generators_state
from dlbook.pytorch.whole import brought_together, divided, divided_optimizer

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
        if not self.totals:
            raise ValueError("expected at least one batch to take means over, got none")
        totals = [total.cpu().double() for total in self.totals.values()]
        everyone = sum_over_processes(torch.stack([*totals, torch.tensor(self.examples).double()]))
        *sums, examples = everyone.tolist()
        return {name: total / examples for name, total in zip(self.totals, sums, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of this process as plain values, on the CPU."""
        totals = {name: total.cpu() for name, total in self.totals.items()}
        return {"examples": self.examples, "totals": totals}

    def load_state_dict(self, state: Mapping[str, Any], device: str | torch.device = "cpu") -> None:
        """Take over sums that ``state_dict`` gave, on the device where the next are measured."""
        self.examples = state["examples"]
        self.totals = {name: total.to(device) for name, total in state["totals"].items()}


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
        return self.at_its_end

    @property
    def at_its_end(self) -> bool:
        """Whether as many epochs as the patience allows have passed since the best."""
        return self.patience is not None and self.waited >= self.patience

    def restore(self) -> None:
        """Put the best parameters and buffers back, if any were kept."""
        if self.kept is not None:
            self.model.load_state_dict(self.kept)

    def state_dict(self) -> dict[str, Any]:
        """Return what is known of the best epoch, as plain values."""
        over = self.at_its_end
        return {"loss": self.loss, "waited": self.waited, "kept": self.kept, "over": over}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` gave; without patience there is nothing to keep."""
        if self.patience is not None:
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
    model, optimizer, history
        As above: what a callback may look at.
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
        self.sampler = share_out(loader)
        self.first_epoch = 0 if self.sampler is None else self.sampler.epoch

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the present epoch from which nothing has been learned yet.

        Yields
        ------
        tuple of Tensor
            X and y, as the loader makes them.

        Raises
        ------
        ValueError
            If some batches have been learned from, and the loader can only start an epoch anew.
        """
        if self.sampler is not None:
            self.sampler.start(self.first_epoch + self.epoch, self.batch)
        elif self.batch:
            raise ValueError(
                "expected a loader that can start in the middle of an epoch, as make_loader "
                f"makes them: {self.batch} batches of this epoch have been learned from"
            )
        return iter(self.loader)

    def end_epoch(self, row: dict[str, float], seconds: float) -> None:
        """Record an epoch and turn to the next.

        Parameters
        ----------
        row : dict of str to float
            What was measured; its ``validation_loss`` counts for the patience.
        seconds : float
            The time that the epoch took.
        """
        self.history.record(**row, seconds=seconds)
        self.finished = self.best.is_over(row.get("validation_loss", math.nan))
        self.sums = Sums()
        self.epoch, self.batch, self.seconds = self.epoch + 1, 0, 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the run is.

        In a group of processes all must call it at the same time.

        Returns
        -------
        dict of str to object
            Dicts, lists and tuples of tensors, numbers and text. ``processes`` holds what each
            process has of its own, its generators and its sums over examples: in rank 0 of all,
            elsewhere of this one. The tensors of ``model`` and ``optimizer`` are the run's own,
            not copies.

        Raises
        ------
        ValueError
            If the optimizer changes parameters that are not the model's, as those of a loss: they
            would be in no checkpoint.

        Notes
        -----
        What is not here is the program's to make again as it was: the data, the networks' code,
        the loss, and ``fit``'s other options. A generator that a module made for itself is not
        known here, nor one that shuffles validation examples in a loader not made by
        ``make_loader``; dropout draws from the global ones, which are.
        """
        own = {
            "generators": generators_state(),
            "loader": [generator.get_state() for generator in self._loader_generators()],
            "sums": self.sums.state_dict(),
        }
        return {
            "model": brought_together(self.model.state_dict()),
            "optimizer": {
                **brought_together(_named_state(self.optimizer)),
                "parameters": self._optimized(),
            },
            "schedule": None if self.schedule is None else _named_state(self.schedule),
            "scaler": {} if self.scaler is None else self.scaler.state_dict(),  # {}: does nothing
            "sampler": None if self.sampler is None else self.sampler.state_dict(),
            "position": {
                "first_epoch": self.first_epoch,
                "epoch": self.epoch,
                "batch": self.batch,
                "step": self.step,
                "seconds": self.seconds,
            },
            "best": brought_together(self.best.state_dict()),
            "history": {
                "settings": dict(self.history.settings),
                "epochs": [dict(row) for row in self.history.epochs],
            },
            "finished": self.finished,
            "processes": gather_to_first(own) or [own],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Bring the run to where ``state_dict`` was called.

        Rates and other options of optimizer and schedule become those of the state. The history
        keeps settings of its own that the state has otherwise. A run that patience ended goes on
        if the patience is larger now; one that a callback ended stays ended.

        Parameters
        ----------
        state : mapping of str to object
            From ``state_dict``.

        Raises
        ------
        ValueError
            If the state is of another run; the message names all that differs, and nothing has
            been changed.

        Warns
        -----
        UserWarning
            If the run cannot go on with the generators it had: with another number of processes,
            or on a machine with fewer GPUs. Then new draws of dropout differ from what they would
            have been; parameters, order of batches and all else are as they were.
        """
        problems = differences(self.state_dict(), state)
        if problems:
            raise ValueError(f"the state is of another run: {'; '.join(problems)}")
        like = self.model.state_dict()
        self.model.load_state_dict(divided(state["model"], like))
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.optimizer.load_state_dict(divided_optimizer(state["optimizer"]["state"], parameters))
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"]["state"])
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        if self.sampler is not None:
            self.sampler.load_state_dict(state["sampler"])
        for name, value in state["position"].items():
            setattr(self, name, value)
        kept = state["best"]["kept"]
        kept = None if kept is None else divided(kept, like)
        self.best.load_state_dict({**state["best"], "kept": kept})
        self.finished = self.best.at_its_end if state["best"]["over"] else state["finished"]
        self.history.settings.update(state["history"]["settings"] | self.history.settings)
        self.history.epochs[:] = [dict(row) for row in state["history"]["epochs"]]
        self._take_own(state["processes"])

    def _optimized(self) -> list[list[str]]:
        """Return the names of the parameters that the optimizer changes, group by group."""
        names = {id(p): name for name, p in self.model.named_parameters()}
        groups = self.optimizer.param_groups
        if any(id(p) not in names for group in groups for p in group["params"]):
            raise ValueError(
                "expected an optimizer of the model's parameters alone, got others too, which "
                "would be in no checkpoint: make them part of the model"
            )
        return [[names[id(p)] for p in group["params"]] for group in groups]

    def _loader_generators(self) -> list[torch.Generator]:
        """Return the generators that fix the order of a loader with another sampler than ours."""
        if self.sampler is not None:
            return []
        owners = (self.loader, getattr(self.loader, "sampler", None))
        generators = (getattr(owner, "generator", None) for owner in owners)
        return list({id(g): g for g in generators if isinstance(g, torch.Generator)}.values())

    def _take_own(self, processes: list[dict[str, Any]]) -> None:
        """Take over what this process had of its own."""
        device = next(self.model.parameters()).device
        if len(processes) != process_count():
            warnings.warn(
                f"the run had {len(processes)} processes and goes on with {process_count()}: their "
                "generators start as the program seeded them, so new draws differ",
                stacklevel=2,
            )
            self.sums.load_state_dict(_divided([p["sums"] for p in processes]), device)
            return
        own = processes[rank()]
        self.sums.load_state_dict(own["sums"], device)
        for generator, place in zip(self._loader_generators(), own["loader"], strict=True):
            generator.set_state(place)
        usable = usable_generators(own["generators"])
        if len(usable["cuda"]) < len(own["generators"]["cuda"]) or (
            usable["mps"] is None and own["generators"]["mps"] is not None
        ):
            warnings.warn(
                "the run used a GPU that is not here: new draws of dropout differ", stacklevel=2
            )
        set_generators_state(usable)


def _named_state(part: Any) -> dict[str, Any]:
    kind = type(part)
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "state": part.state_dict()}


def _divided(sums: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the first process the sums of all, and the others zeros of the same names."""
    joint = Sums()
    for part in sums:
        joint.add(part["examples"], part["totals"])
    if rank() > 0:
        joint.examples = 0
        joint.totals = {name: torch.zeros_like(total) for name, total in joint.totals.items()}
    return joint.state_dict()
