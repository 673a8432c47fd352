"""Trying a cure out: the first passes of the run, trained on again, with and without the cure.

What a run computed is on its tapes, and how its networks began is in the record. An experiment
trains copies of the networks from there on these passes, over and over. It is done twice, once as
the reader's program does it and once with the suspect repaired; only the difference counts.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, pairwise
from statistics import fmean, median
from time import monotonic, thread_time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer

from dlbook.doctor.record import Record
from dlbook.doctor.tape import Tape

__all__ = ["Comparison", "Trial", "clearly_better", "compare", "constant_loss", "train"]

STEPS = 120  # steps of one trial
STARTS = 0.0, 0.5  # of constants: the second where 0 is not taken, as of probabilities and scales
CONSTANT_STEPS = 60  # of the search for the best constant, over all passes
FAR = 1e3  # times the largest loss of the run
SEEDS = (0, 1)  # of the draws within it, such as dropout's
SECONDS = 5.0  # of computing for one trial; a slow network makes fewer steps


@dataclass
class Trial:
    """Copies of all that an experiment trains; a cure changes them before it begins.

    Parameters
    ----------
    models : dict of str to nn.Module
        Copies of the networks, as they were when watching began.
    optimizer : Optimizer
        A copy of the optimizer, with the settings of its first step and no state.
    tapes : list of Tape
        The passes to train on.
    parameters : dict of int to Tensor
        The copy of each parameter, by the id of the original.
    outputs : callable or None
        Applied to what a network gives out, if a cure sets it: takes name and result.
    clip, clip_number : float or None
        The norm to which gradients are limited before each step, and their single numbers.
    scale : float
        What each loss is multiplied by before its gradients are added up.
    rates : sequence of float
        The rate of each step where it changed in the run; empty where it is that of the settings.
    deadline : float
        By ``time.monotonic``, when no further step is begun.
    """

    models: dict[str, nn.Module]
    optimizer: Optimizer
    tapes: list[Tape]
    parameters: dict[int, Tensor]
    outputs: Callable[[str, Any], Any] | None = None
    clip: float | None = None
    clip_number: float | None = None
    scale: float = 1.0
    rates: Sequence[float] = ()
    deadline: float = math.inf

    def loss(self, tape: Tape) -> Tensor:
        """Compute the loss of one pass with the copies."""
        return tape.play(self._networks(), self.parameters)

    def _networks(self) -> Mapping[str, Callable[..., Any]]:
        if self.outputs is None:
            return self.models
        outputs = self.outputs

        def changed(name: str) -> Callable[..., Any]:
            return lambda *args, **kwargs: outputs(name, self.models[name](*args, **kwargs))

        return {name: changed(name) for name in self.models}


Cure = Callable[[Trial], None]


@dataclass(frozen=True)
class Comparison:
    """Mean losses over the passes, at the end of a trial; nan where it broke down.

    Parameters
    ----------
    as_is, repaired : float
        After the same number of steps, as the program does it and with the cure.
    constant : float
        The least that networks can reach which give out the same for all inputs.
    """

    as_is: float
    repaired: float
    constant: float

    @property
    def wins(self) -> bool:
        """Whether the cure clearly wins: see ``clearly_better``."""
        return self.better_than(self.repaired)

    def better_than(self, repaired: float) -> bool:
        """Tell whether the program as it is loses to a loss, given in its own units."""
        return clearly_better(repaired, self.as_is, self.constant)


def clearly_better(repaired: float, as_is: float, constant: float) -> bool:
    """Tell whether one loss is so much lower than another that it matters.

    The measure is what a network can win over a constant at all: the cure must win at least a
    quarter of the way from the constant to its own loss more than the program does as it is, and
    must beat the constant itself.

    Parameters
    ----------
    repaired, as_is, constant : float
        Losses: with the cure, without, and of the best constant.

    Returns
    -------
    bool
        False where the repaired loss is not finite.

    Examples
    --------
    >>> clearly_better(repaired=0.2, as_is=2.2, constant=2.3)
    True
    >>> clearly_better(repaired=0.2, as_is=0.5, constant=2.3)
    False
    >>> clearly_better(repaired=2.25, as_is=2.29, constant=2.3)
    False
    """
    if not math.isfinite(repaired) or not math.isfinite(constant):
        return False
    reach = constant - repaired
    if reach <= 0.05 * abs(constant):
        return False
    return not math.isfinite(as_is) or as_is - repaired > 0.25 * reach


def compare(record: Record, cure: Cure, *, steps: int = STEPS) -> Comparison | None:
    """Train as the program does, and with a cure, from the same start on the same passes.

    Parameters
    ----------
    record : Record
        What was seen.
    cure : callable
        Takes a ``Trial`` and changes its copies in place.
    steps : int, default 120
        How many steps each makes.

    Returns
    -------
    Comparison or None
        The worst of the repaired and the best of the others over the seeds; None where the run
        cannot be done again: see ``trial_of``.
    """
    as_is = _as_it_is(record, steps)
    if as_is is None:
        return None
    ends = []
    for seed, (made, loss) in zip(SEEDS, as_is, strict=True):
        repaired = trial_of(record)
        if repaired is None:
            return None
        cure(repaired)
        enough = made if math.isfinite(loss) else steps  # a run that broke down made too few
        ends.append(train(repaired, steps=enough, seed=seed)[1])
        if not math.isfinite(ends[-1]):
            break
    most = max(ends, key=_or_infinity)
    least = min((loss for _, loss in as_is), key=_or_infinity)
    return Comparison(least, most, constant_loss(record))


def _as_it_is(record: Record, steps: int) -> list[tuple[int, float]] | None:
    """Train as the program does, once for all experiments."""
    key = f"as it is, {steps} steps"
    if key not in record.cache:
        trials = [trial_of(record) for _ in SEEDS]
        record.cache[key] = [
            train(trial, steps=steps, seed=seed)
            for seed, trial in zip(SEEDS, trials, strict=True)
            if trial is not None
        ]
    made: list[tuple[int, float]] = record.cache[key]
    return made if len(made) == len(SEEDS) else None


def trial_of(record: Record) -> Trial | None:
    """Copy what is needed to make the run again.

    Parameters
    ----------
    record : Record
        What was seen.

    Returns
    -------
    Trial or None
        None where networks make the targets, several optimizers took part, a pass has gaps, the
        first state of a network is not known, or something cannot be copied.
    """
    tapes = [tape for tape in record.tapes if tape.whole]
    if record.taught:  # a loss whose targets networks make does not tell how much was learned
        return None
    if len(record.optimizers) != 1 or len(tapes) < 2 or len(tapes) < len(record.tapes) / 2:
        return None
    memo: dict[int, Any] = {}
    try:
        models = copied(record.models, memo)
        optimizer = copy.deepcopy(record.optimizers[0], memo)
    except Exception:  # whatever keeps a network from being copied, nothing can be tried
        return None
    for name, model in models.items():
        if not _restore(model, record.initial.get(name, {})):
            return None
        _set_modes(model, record.modes.get(name, {}))
    optimizer.state.clear()
    for group, settings in zip(optimizer.param_groups, record.settings[0], strict=False):
        group.update(settings)
    _set_rates(optimizer, record)
    outside = {id(p) for tape in tapes for p in tape.parameters.values()}
    copies = {key: memo[key] for key in record.parameters.keys() | outside if key in memo}
    trial = Trial(models, optimizer, tapes, copies, clip=_limit_of(record, single=False))
    trial.clip_number = _limit_of(record, single=True)
    return trial


def copied(models: dict[str, nn.Module], memo: dict[int, Any]) -> dict[str, nn.Module]:
    """Copy networks without the hooks that the reader has put on them.

    Parameters
    ----------
    models : dict of str to nn.Module
        The networks.
    memo : dict
        Takes the copy of everything, by the id of the original.

    Returns
    -------
    dict of str to nn.Module
        The copies; hooks of PyTorch's own, such as those of pruning, stay.
    """
    made = copy.deepcopy(models, memo)
    for model in made.values():
        for module in model.modules():
            for hooks in (
                *(module._forward_hooks, module._forward_pre_hooks),
                *(module._backward_hooks, module._backward_pre_hooks),
            ):
                own = [k for k, hook in hooks.items() if not _of_torch(hook)]
                for key in own:
                    del hooks[key]
    return made


def _of_torch(hook: Any) -> bool:
    kind = hook if hasattr(hook, "__module__") else type(hook)
    return str(kind.__module__).partition(".")[0] == "torch"


def train(trial: Trial, *, steps: int, seed: int) -> tuple[int, float]:
    """Train the copies; all generators are afterwards as they were before.

    Parameters
    ----------
    trial : Trial
        What is trained.
    steps : int
        At most how many steps; fewer where they would take too long.
    seed : int
        Decides what is drawn.

    Returns
    -------
    tuple of int and float
        How many steps were made, and the mean loss over the passes afterwards; nan where a loss
        was not finite or something raised.
    """
    began, made = thread_time(), 0  # of this thread: not longer where others compute too
    groups = cycle(_groups(trial.tapes))
    with own_draws(seed):
        try:
            while made < steps and thread_time() - began < SECONDS and monotonic() < trial.deadline:
                trial.optimizer.zero_grad()
                for tape in next(groups):
                    loss = trial.loss(tape)
                    if not loss.isfinite():
                        return made, math.nan
                    (trial.scale * loss).backward()  # type: ignore[no-untyped-call]
                if trial.clip is not None:
                    clip_grad_norm_(_trained(trial), trial.clip)
                if trial.clip_number is not None:
                    clip_grad_value_(_trained(trial), trial.clip_number)
                _set_rate(trial, made)
                trial.optimizer.step()
                made += 1
        except (RuntimeError, TypeError, ValueError):  # the cure does not fit this network
            return made, math.nan
    return made, _mean_loss(trial)


def _groups(tapes: list[Tape]) -> list[list[Tape]]:
    """Part the passes into those whose gradients made one step; the last group may be cut short."""
    ends = [number for number, tape in enumerate(tapes, start=1) if tape.stepped]
    if not ends:
        return [[tape] for tape in tapes]
    return [tapes[start:end] for start, end in pairwise([0, *ends])]


def _set_rate(trial: Trial, step: int) -> None:
    if trial.rates:
        for group in trial.optimizer.param_groups:
            group["lr"] = trial.rates[min(step, len(trial.rates) - 1)]


def constant_loss(record: Record) -> float:
    """Return the least mean loss of networks that give out the same for all inputs.

    Parameters
    ----------
    record : Record
        What was seen.

    Returns
    -------
    float
        The loss in its own units; nan where a pass cannot be played so.
    """
    if "constant" not in record.cache:
        tapes = [tape for tape in record.tapes if tape.whole]
        found = (_least_constant(tapes, start) for start in STARTS)
        least = next(filter(math.isfinite, found), math.nan)
        seen = [abs(value) for value in record.losses if math.isfinite(value)]
        unbounded = least < -FAR * max([1.0, *seen])  # a loss that constants make as low as wanted
        record.cache["constant"] = math.nan if unbounded else least
    return float(record.cache["constant"])


def _least_constant(tapes: list[Tape], start: float) -> float:
    shapes = {
        (entry.name, number): tape.shapes[slot]
        for tape in tapes[:1]
        for entry in tape.networks
        for number, slot in enumerate(entry.results)
    }
    constants = {
        key: torch.full(shape[1:], start, requires_grad=True) for key, shape in shapes.items()
    }
    if not constants or any(len(shape) < 1 for shape in shapes.values()):
        return math.nan

    def loss_of(tape: Tape) -> Tensor:
        calls = {entry.name: entry for entry in tape.networks}

        def stand_in(name: str) -> Callable[..., Any]:
            def constant(*_: object, **__: object) -> Any:
                slots = calls[name].results
                made = [
                    constants[name, number].expand(tape.shapes[slot])
                    for number, slot in enumerate(slots)
                ]
                return made[0] if len(made) == 1 else tuple(made)

            return constant

        return tape.play({name: stand_in(name) for name in calls})

    optimizer = torch.optim.LBFGS(
        list(constants.values()), max_iter=CONSTANT_STEPS, line_search_fn="strong_wolfe"
    )

    def total() -> Tensor:
        optimizer.zero_grad()
        mean = torch.stack([loss_of(tape) for tape in tapes]).mean()
        mean.backward()  # type: ignore[no-untyped-call]
        return mean.detach()

    try:
        first = float(optimizer.step(total))  # type: ignore[no-untyped-call]
        with torch.no_grad():
            last = float(torch.stack([loss_of(tape) for tape in tapes]).mean())
    except (RuntimeError, TypeError, ValueError, KeyError):
        return math.nan
    return min(first, last) if math.isfinite(last) else first


@contextmanager
def own_draws(seed: int | None = None) -> Iterator[None]:
    """Leave the generators as they were; within, draw from a seed if one is given."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        if seed is not None:
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002  # what the reader's network may draw from
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def _mean_loss(trial: Trial) -> float:
    with own_draws(0), torch.no_grad():
        return fmean(float(trial.loss(tape)) for tape in trial.tapes)


def _or_infinity(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _trained(trial: Trial) -> list[Tensor]:
    return [p for group in trial.optimizer.param_groups for p in group["params"]]


def _limit_of(record: Record, *, single: bool) -> float | None:
    """Return to what the run limited its gradients before each step: a norm, or single numbers."""
    clips = [event.facts for event in record.around.of_kind("clip")]
    limits = {clip["limit"] for clip in clips if clip["fresh"] and clip["single"] is single}
    return limits.pop() if len(limits) == 1 else None


def _set_rates(optimizer: Optimizer, record: Record) -> None:
    """Let a run whose rate was scheduled be made again with the rate of its median step."""
    usual = median([step.rate for step in record.steps] or [0.0])
    first = max(float(group.get("lr", 0)) for group in optimizer.param_groups)
    if usual == first or not usual:
        return
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * (usual / first) if first else usual


def _set_modes(model: nn.Module, modes: dict[str, bool]) -> None:
    """Set each module to the mode in which it was trained."""
    for name, module in model.named_modules():
        module.training = modes.get(name, module.training)


def _restore(model: nn.Module, state: dict[str, Tensor]) -> bool:
    """Give a network its first state back; False where it is not known."""
    own = model.state_dict(keep_vars=True)
    if not state or any(own[key].shape != state[key].shape for key in own.keys() & state.keys()):
        return False
    with torch.no_grad():
        for key, tensor in own.items():
            if key in state and isinstance(tensor, Tensor):
                tensor.copy_(state[key])
    return True
