"""Rules about how much a network can learn, and how much it should."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from dlbook.doctor.experiments import Trial, clearly_better, own_draws, train, trial_of
from dlbook.doctor.meetings import LOSSES
from dlbook.doctor.outcomes import outcome_of
from dlbook.doctor.races import MOST, race, well_learned
from dlbook.doctor.record import Record
from dlbook.doctor.replacing import replace_calls
from dlbook.doctor.rules.rates import loss_if_longer
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.tape import Tape
from dlbook.doctor.traces import traces_of

__all__ = ["dropout_too_strong", "loss_not_finite", "overfitting", "too_little_capacity"]

DROPOUTS = (
    *("dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "feature_dropout"),
    *("alpha_dropout", "feature_alpha_dropout"),
)
STRONG = 0.5  # a share left out from which on dropout may be what keeps a network from learning
HALF = 0.5  # of what is won without what is meant to hold the network back
ROWS = 5  # examples for each weight of a helper, too many to learn by heart
WIDEST = 64  # units of a helper
PARTS = 8  # looks at the validation loss within a trial, each after twice as many steps
TIMES = 1.5  # as high as its least: a validation loss that has risen


@rule(
    severity="warning",
    title="dropout is too strong: next to nothing is left of a layer",
    fix="- nn.Dropout(0.9)\n+ nn.Dropout(0.1)",
    born="dropout_too_strong",
    causes=("rate-too-low", "too-little-capacity"),
)
def dropout_too_strong(record: Record) -> Sign | None:
    """Find dropout with which not even the training examples are learned.

    The number is the share that is left out. Where little remains, other units at each step, what a
    layer passes on is mostly noise; and in evaluation mode, in which nothing is left out, the
    network is no better.
    """
    shares = _shares_left_out(record)
    strongest = max(shares.values(), default=0.0)
    if strongest < STRONG or well_learned(record):
        return None
    found = race(record, "no dropout", _without_dropout)
    if found is None or not found.wins or found.missed < HALF:
        return None
    measured = _loss_at_the_end(record, record.tapes)
    constant = found.made.constant
    if not clearly_better(found.loss, measured, constant):
        return None
    if measured < constant - HALF * (constant - found.loss):
        return None  # in evaluation mode the network does well
    name = max(shares, key=shares.__getitem__)
    evidence = (
        f"a share of {strongest:g} is left out; also in evaluation mode the loss on the "
        f"training examples is {measured:.3g} in the end; {found.told('without dropout')}"
    )
    fix = f"- nn.Dropout({strongest:g})\n+ nn.Dropout({1 - strongest:.2g})"
    return Sign(evidence, name, fix if strongest > STRONG else "")


def _shares_left_out(record: Record) -> dict[str, float]:
    """Return the share that is left out by each layer of the networks, functions included."""
    found = {
        f"{name}.{own}".strip("."): float(part.p if isinstance(part, _DropoutNd) else part.dropout)
        for name, model in record.models.items()
        for own, part in model.named_modules()
        if isinstance(part, _DropoutNd) or isinstance(getattr(part, "dropout", None), float)
    }
    for trace in traces_of(record)[:1]:
        for call in trace.calls:
            if call.name in DROPOUTS and call.argument(2, "training", True):
                share = float(call.argument(1, "p", 0.5))
                found[call.module] = max(share, found.get(call.module, 0.0))
    return found


def _without_dropout(trial: Trial) -> None:
    for model in trial.models.values():
        for part in model.modules():
            if isinstance(part, _DropoutNd):
                part.p = 0.0
            elif isinstance(getattr(part, "dropout", None), float):
                part.dropout = 0.0  # type: ignore[assignment]
    replace_calls(trial, DROPOUTS, lambda tensor: tensor)


@rule(
    severity="warning",
    title="the network is too small for what it is to learn",
    fix="- nn.Linear(2, 2)\n+ nn.Linear(2, 32)",
    born="too_few_units",
)
def too_little_capacity(record: Record) -> Sign | None:
    """Find a network that settles high on the very examples that it learns from.

    The loss no longer falls, and no other rate helps: what the network can express is too little. A
    few more units beside it, fewer than could learn the examples by heart, fit them at once.
    """
    outcome = outcome_of(record)
    if well_learned(record) or not outcome.finite:
        return None
    if outcome.falling and clearly_better(loss_if_longer(record), outcome.last, outcome.constant):
        return None
    width = _width_of_helper(record)
    if width is None:
        return None

    def with_helper(trial: Trial) -> None:
        for name, model in trial.models.items():
            trial.models[name] = _Helped(model, width, trial)

    found = race(record, "helper", with_helper)
    if found is None or not found.wins or found.missed < HALF:
        return None
    told = found.told(f"with {width} more ReLU units beside the network")
    return Sign(f"the loss hardly falls any more; {told}")


def _width_of_helper(record: Record) -> int | None:
    """Return how many units may stand beside a network; None where it has no such place."""
    tapes = [tape for tape in record.tapes if tape.whole]
    if len(record.models) != 1 or not tapes or len(tapes[0].networks) != 1:
        return None
    entry = tapes[0].networks[0]
    given = tapes[0].tensors(entry)
    if len(given) != 1 or len(entry.results) != 1 or not given[0].is_floating_point():
        return None
    result = tapes[0].shapes[entry.results[0]]
    again = any(entry.refs[0] in other.refs for other in tapes[0].entries if other is not entry)
    if again or (result == tuple(given[0].shape) and given[0][0].numel() > 2):
        return None  # it gives back what it is given, through a narrow place that is meant so
    if given[0].dim() < 2 or not result or result[0] != len(given[0]):
        return None
    model = next(iter(record.models.values()))
    hidden = [
        part for part in model.modules() if next(part.parameters(recurse=False), None) is not None
    ]
    if len(hidden) < 2 and outcome_of(record).learned:
        return None  # a linear model is meant to be one
    inputs = given[0][0].numel()
    outputs = math.prod(result[1:])
    seen = torch.cat([tape.tensors(tape.networks[0])[0].flatten(1) for tape in tapes])
    rows = len(torch.unique(seen, dim=0))
    width = min(WIDEST, rows // (ROWS * (inputs + outputs + 1)))
    return width if width >= 4 else None


class _Helped(nn.Module):
    """A network and a layer of units beside it."""

    def __init__(self, model: nn.Module, width: int, trial: Trial) -> None:
        super().__init__()
        self.model, self.width, self.trial = model, width, trial
        self.layers: nn.Sequential | None = None

    def forward(self, X: Tensor) -> Tensor:
        """Add what both give."""
        result: Tensor = self.model(X)
        if self.layers is None:
            inputs, outputs = X[0].numel(), result[0].numel()
            self.layers = nn.Sequential(
                nn.Linear(inputs, self.width), nn.ReLU(), nn.Linear(self.width, outputs)
            ).to(result.device, result.dtype)
            self.trial.optimizer.add_param_group({"params": list(self.layers.parameters())})
        beside: Tensor = self.layers(X.flatten(1).to(result.dtype))
        return result + beside.reshape(result.shape)


@rule(
    severity="warning",
    title="the network overfits: the validation loss has risen far above its least",
    fix="stop when the validation loss has not fallen for some epochs, and keep the weights of the "
    "best one",
    born="overfitting",
)
def overfitting(record: Record) -> Sign | None:
    """Find a validation loss that fell, and rose again while the training loss went on falling.

    What is learned from then on are the training examples themselves, their noise included. Each
    mistake in validation is made with ever more certainty.
    """
    validation = _validation(record)
    outcome = outcome_of(record)
    if not validation or not outcome.finite:
        return None
    last = _loss_at_the_end(record, validation)
    training = _loss_at_the_end(record, record.tapes)
    if not (math.isfinite(last) and last > TIMES * max(training, 0.0)):
        return None
    named = {e.name for t in validation for e in t.entries if t.loss in e.results}
    if not named <= {*LOSSES} or last < HALF * outcome.constant:
        return None  # it does well on records that it has not seen, or the loss compares pairs
    losses = _validation_losses(record, validation)
    least = min(losses, default=math.nan)
    if not last > TIMES * least > 0:
        return None
    evidence = (
        f"in the end the loss is {training:.2g} on training examples and {last:.2g} in validation, "
        f"where {least:.2g} was reached on the way in a trial of the same training"
    )
    return Sign(evidence)


def _validation(record: Record) -> list[Tape]:
    """Return the passes without gradients that lead to a loss as the training's do."""
    inputs = [tensor for tape in record.tapes for e in tape.networks for tensor in tape.tensors(e)]
    losses = {e.name for tape in record.tapes for e in tape.entries if tape.loss in e.results}
    found: list[Tape] = []
    for tape in record.evaluations:
        entries = [e for e in tape.entries if e.name in losses and e.results]
        slots = [e.results[0] for e in entries if tape.shapes.get(e.results[0]) == ()]
        given = [tensor for e in tape.networks for tensor in tape.tensors(e)]
        known = any(_same(a, b) for a in given for b in inputs)
        again = any(
            _same(a, b) for t in found for e in t.networks for a in t.tensors(e) for b in given
        )
        if slots and not known and not again:
            found.append(replace(tape, loss=slots[0]))
    return found


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)


def _loss_at_the_end(record: Record, tapes: list[Tape]) -> float:
    """Return the mean loss of the networks as they are now, in evaluation mode."""
    trial = trial_of(record)
    if trial is None:
        return math.nan
    for name, model in trial.models.items():
        try:
            model.load_state_dict(record.models[name].state_dict())
        except RuntimeError:  # a layer was replaced
            return math.nan
    return _measured(trial, [tape for tape in tapes if tape.whole])


def _measured(trial: Trial, tapes: list[Tape]) -> float:
    modes = {part: part.training for model in trial.models.values() for part in model.modules()}
    for model in trial.models.values():
        model.eval()
    try:
        with own_draws(0), torch.no_grad():
            return fmean(float(trial.loss(tape)) for tape in tapes)
    except (RuntimeError, TypeError, ValueError, KeyError):
        return math.nan
    finally:
        for part, mode in modes.items():
            part.training = mode


def _validation_losses(record: Record, validation: list[Tape]) -> list[float]:
    """Train again as the run did, and look at the validation loss on the way."""
    trial = trial_of(record)
    if trial is None:
        return []
    steps = min(2 * MOST, record.counts["step"])
    ends = [0, *sorted({max(1, round(steps / 2**part)) for part in range(PARTS)})]
    losses = []
    for begin, end in pairwise(ends):
        train(trial, steps=end - begin, seed=begin)
        losses.append(_measured(trial, validation))
    return [loss for loss in losses if math.isfinite(loss)]


@rule(
    severity="warning",
    title="the loss becomes NaN or infinite",
    fix="with torch.autograd.detect_anomaly():\n    loss.backward()",
    born="rate_too_high",
)
def loss_not_finite(record: Record) -> Sign | None:
    """Find a loss that is no number, where no cause of it is known.

    From the first such loss on every weight that its gradient reaches is NaN too, and nothing is
    learned any more. What it was computed from is to be looked at just before.
    """
    broken = record.broken
    if broken is None:
        return None
    before = [loss for loss in record.losses[: broken.loss] if math.isfinite(loss)]
    if any(math.isfinite(loss) for loss in record.losses[broken.loss :]):
        return None  # it was left out, and training went on
    evidence = f"backward was called on a loss that is {record.losses[broken.loss]}, the first of "
    evidence += f"{len(record.losses) - broken.loss} such, after {broken.step} steps"
    if before:
        evidence += f"; the last one before it was {before[-1]:.3g}"
    if broken.parameters:
        evidence += f"; by then {', '.join(broken.parameters[:3])} were not finite"
    return Sign(evidence, broken.where)
