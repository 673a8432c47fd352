"""What was seen of a training loop: facts only, no judgment."""

from __future__ import annotations

import math
import weakref
from collections import Counter
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from dlbook.doctor.graphs import Graph
from dlbook.doctor.habits import Habits, Mark
from dlbook.doctor.lines import AtWork
from dlbook.doctor.stores import Stores
from dlbook.doctor.surroundings import Surroundings
from dlbook.doctor.tape import Tape

__all__ = ["Backward", "Break", "Call", "Mark", "ParameterFacts", "Record", "StepFacts"]


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
    version : int
        How often its gradient had been changed in place by the end of the last step; a program
        that changes it afterwards deals with it in a way of its own.
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
    version: int = -1


@dataclass
class Backward:
    """One backward pass that was looked at closely.

    Parameters
    ----------
    graph : Graph
        The operations behind the loss.
    step : int
        How many steps had been made before it.
    leaf : bool
        Whether it was called on a tensor that nothing was computed for.
    where : str
        The line of the reader's code.
    """

    graph: Graph
    step: int
    leaf: bool
    where: str


@dataclass(frozen=True)
class Break:
    """The first loss that was not finite.

    Parameters
    ----------
    loss : int
        Its place in ``Record.losses``.
    step : int
        How many steps had been made before it.
    parameters : tuple of str
        The parameters that were not finite by then.
    graph : Graph
        The operations behind it.
    where : str
        The line of the reader's code that called ``backward`` on it.
    """

    loss: int
    step: int
    parameters: tuple[str, ...]
    graph: Graph
    where: str


@dataclass
class Call:
    """Forward passes of a network in one manner: in a mode, with or without gradients.

    Parameters
    ----------
    count : int
        How many there were.
    where : str
        The line of the reader's code that made the first.
    later : int
        How many of them came after the first step.
    """

    count: int = 0
    where: str = ""
    later: int = 0


@dataclass
class StepFacts:
    """What was seen of one step of an optimizer.

    Parameters
    ----------
    number : int
        Which step it was, from 1, over all optimizers.
    optimizer : int
        Which optimizer made it: its place in ``Record.optimizers``.
    rate : float
        The largest rate among the optimizer's groups.
    arrived : bool
        Whether gradients other than zero had arrived since the step before.
    missing, zero, held : int
        How many of the parameters held had no gradient, how many one of zeros, and how many there
        are.
    gradients, weights, changes : dict of int to float
        By the id of each parameter with a gradient: the norm of the gradient that the step used, of
        the parameter before it, and of what it changed (only for those that were copied).
    lost : dict of int to float
        By the id of each parameter that was copied: of its numbers with a gradient other than zero,
        the share that the step left as they were.
    training : bool
        Whether all networks were in training mode.
    changed : bool
        Whether any of the numbers looked at changed.
    """

    number: int
    optimizer: int
    rate: float
    arrived: bool
    missing: int
    zero: int
    held: int
    gradients: dict[int, float] = field(default_factory=dict)
    weights: dict[int, float] = field(default_factory=dict)
    changes: dict[int, float] = field(default_factory=dict)
    lost: dict[int, float] = field(default_factory=dict)
    training: bool = True
    changed: bool = True


@dataclass
class Record:
    """All that was seen of a loop.

    Parameters
    ----------
    models : dict of str to nn.Module
        The networks watched, by name.
    initial : dict of str to dict
        Copies of the networks' states as they were when watching began.
    optimizers : list of Optimizer
        The optimizers watched.
    settings : list of list of dict
        For each optimizer, what its groups held beside the parameters at its first step.
    order : list of str
        The first events in order: ``forward``, ``backward``, ``step``.
    forwards : dict
        Forward passes by model, mode (training or not) and whether gradients were on.
    parameters : dict of int to ParameterFacts
        What was seen of each parameter, by its id.
    backwards : list of Backward
        The backward passes that were looked at closely.
    tapes : list of Tape
        The first passes from inputs to a loss that ``backward`` was called on.
    evaluations : list of Tape
        The first passes without gradients or in evaluation mode, or that no loss came of.
    losses : list of float
        The value of each loss that ``backward`` was called on.
    broken : Break or None
        What was seen at the first loss that was not finite.
    modes : dict of str to dict
        For each network, whether each of its modules was in training mode in the first pass that
        was trained on.
    counts : Counter
        How often each kind of event was seen.
    marks : list of weak references
        Marks on the graphs that backward was called on, which live as long as these.
    graphs_kept : tuple of int
        The most graphs that were alive at one time, and how many there had been by then.
    unused : dict of str to Call
        Forward passes in training mode, by model, since the last backward pass.
    step_line : str
        The line of the reader's code that makes the steps.
    steps : list of StepFacts
        The steps that were looked at.
    around : Surroundings
        What was seen around the networks: loaders, schedules, states loaded.
    habits : Habits
        What the loop did over and over.
    stores : Stores
        What fetching did to the data.
    validation_given : bool
        Whether what is evaluated is what the reader calls validation, and no more than that.
    at_work : dict of code to set of AtWork
        The reader's functions in which networks were called, with the lines of the calls.
    taught : set of str
        The networks whose outputs without gradients went into a later loss, as a target does.
    trouble : list of str
        Rules that could not judge, and why.
    deadline : float
        By ``time.monotonic``, when experiments are to end.
    cache : dict
        What experiments found out, so that none is made twice.
    logged : list of tuple of int and dict of str to float
        Measures of the reader's own, each with the number of steps before it.
    error : BaseException or None
        What ended the loop.
    """

    models: dict[str, nn.Module] = field(default_factory=dict)
    initial: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    optimizers: list[Optimizer] = field(default_factory=list)
    settings: list[list[dict[str, object]]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    forwards: dict[tuple[str, bool, bool], Call] = field(default_factory=dict)
    parameters: dict[int, ParameterFacts] = field(default_factory=dict)
    backwards: list[Backward] = field(default_factory=list)
    tapes: list[Tape] = field(default_factory=list)
    evaluations: list[Tape] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    broken: Break | None = None
    modes: dict[str, dict[str, bool]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    marks: list[weakref.ref[Mark]] = field(default_factory=list)
    graphs_kept: tuple[int, int] = (0, 0)
    unused: dict[str, Call] = field(default_factory=dict)
    step_line: str = ""
    steps: list[StepFacts] = field(default_factory=list)
    around: Surroundings = field(default_factory=Surroundings)
    habits: Habits = field(default_factory=Habits)
    stores: Stores = field(default_factory=Stores)
    validation_given: bool = False
    at_work: dict[CodeType, set[AtWork]] = field(default_factory=dict)
    taught: set[str] = field(default_factory=set)
    trouble: list[str] = field(default_factory=list)
    deadline: float = math.inf
    cache: dict[str, Any] = field(default_factory=dict)
    logged: list[tuple[int, dict[str, float]]] = field(default_factory=list)
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
