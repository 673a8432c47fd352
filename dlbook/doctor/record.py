"""What was seen of a training loop: facts only, no judgment."""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["Call", "LossCall", "Mark", "ParameterFacts", "Record", "StepFacts", "line_of_reader"]

FOREIGN = (str(Path(__file__).parent), str(Path(torch.__file__).parent), contextlib.__file__, "<")


@dataclass
class ParameterFacts:
    """What was seen of one parameter.

    Parameters
    ----------
    name : str
        Its name in the network, behind the network's number where there are several.
    parameter : Tensor
        The parameter itself.
    arrivals : int
        How many gradients arrived at it.
    cycles : int
        How many rounds were looked at: from one step of its optimizer to the next.
    kept : int
        In how many of them no gradient that arrived found the place empty or zero.
    arrived, nonzero, fresh : bool
        Whether in the present round a gradient arrived, one that was not zero, and one that found
        the place empty or zero.
    stepped : bool
        Whether its optimizer has made a step: the first gradient of all finds nothing to clear.
    """

    name: str
    parameter: Tensor
    arrivals: int = 0
    cycles: int = 0
    kept: int = 0
    arrived: bool = False
    nonzero: bool = False
    fresh: bool = False
    stepped: bool = False


@dataclass
class LossCall:
    """One call of a loss function of ``torch.nn.functional``.

    Parameters
    ----------
    name : str
        The function, such as ``"cross_entropy"``.
    made_by : str
        The operation that made the predictions, by its name in the graph; empty if unknown.
    predictions, targets : tuple of int
        Their shapes.
    where : str
        The line of the reader's code.
    """

    name: str
    made_by: str
    predictions: tuple[int, ...]
    targets: tuple[int, ...]
    where: str


class Mark:
    """Put on a graph; it is gone when the graph is."""


@dataclass
class Call:
    """Forward passes of a network in one manner: in a mode, with or without gradients.

    Parameters
    ----------
    count : int
        How many there were.
    where : str
        The line of the reader's code that made the first.
    """

    count: int = 0
    where: str = ""


@dataclass
class StepFacts:
    """What was seen of one step of an optimizer.

    Parameters
    ----------
    number : int
        Which step it was, from 1, over all optimizers.
    rate : float
        The largest rate among the optimizer's groups.
    arrived : bool
        Whether gradients other than zero had arrived since the step before.
    missing, zero, held : int
        How many of the parameters held had no gradient, how many one of zeros, and how many there
        are.
    changed : bool
        Whether any of the numbers looked at changed.
    """

    number: int
    rate: float
    arrived: bool
    missing: int
    zero: int
    held: int
    changed: bool = True


@dataclass
class Record:
    """All that was seen of a loop.

    Parameters
    ----------
    models : dict of str to nn.Module
        The networks watched, by name.
    optimizers : list of Optimizer
        The optimizers watched.
    order : list of str
        The first events in order: ``forward``, ``backward``, ``step``.
    forwards : dict
        Forward passes by model, mode (training or not) and whether gradients were on.
    parameters : dict of int to ParameterFacts
        What was seen of each parameter, by its id.
    losses : list of LossCall
        The first calls of loss functions.
    counts : Counter
        How often each kind of event was seen.
    graphs : list of weak references
        Marks on the graphs that backward was called on, which live as long as these.
    graphs_kept : tuple of int
        The most graphs that were alive at one time, and how many there had been by then.
    unused : dict of str to Call
        Forward passes in training mode, by model, since the last backward pass.
    step_line : str
        The line of the reader's code that makes the steps.
    steps : list of StepFacts
        The steps that were looked at.
    error : BaseException or None
        What ended the loop.
    """

    models: dict[str, nn.Module] = field(default_factory=dict)
    optimizers: list[Optimizer] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    forwards: dict[tuple[str, bool, bool], Call] = field(default_factory=dict)
    parameters: dict[int, ParameterFacts] = field(default_factory=dict)
    losses: list[LossCall] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    graphs: list[weakref.ref[Mark]] = field(default_factory=list)
    graphs_kept: tuple[int, int] = (0, 0)
    unused: dict[str, Call] = field(default_factory=dict)
    step_line: str = ""
    steps: list[StepFacts] = field(default_factory=list)
    error: BaseException | None = None

    def event(self, kind: str) -> None:
        """Count an event, and note the first ones in order."""
        self.counts[kind] += 1
        if len(self.order) < 60 and not (self.order and self.order[-1] == kind == "backward"):
            self.order.append(kind)

    @property
    def in_optimizers(self) -> set[int]:
        """The ids of the parameters that some optimizer holds."""
        return {
            id(p)
            for optimizer in self.optimizers
            for group in optimizer.param_groups
            for p in group["params"]
        }


def line_of_reader() -> str:
    """Return file and line of the innermost frame that is neither PyTorch's nor the doctor's.

    Returns
    -------
    str
        As ``"train.py:12"``; empty where there is none.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(FOREIGN):
        frame = frame.f_back
    return "" if frame is None else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
