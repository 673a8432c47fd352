"""Rules about what comes out of a network, and what lies between it and the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dlbook.doctor.experiments import Trial, compare
from dlbook.doctor.meetings import Meeting, meetings
from dlbook.doctor.outcomes import SHARE, outcome_of
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.traces import SHAPING, Call, traces_of

__all__ = [
    "bias_left_out",
    "binary_loss_on_logits",
    "dropout_on_the_outputs",
    "outputs_cannot_reach_targets",
]

RANGES: dict[str, tuple[float, float]] = {
    "abs": (0, math.inf),
    "exp": (0, math.inf),
    "hardsigmoid": (0, 1),
    "log_softmax": (-math.inf, 0),
    "logsigmoid": (-math.inf, 0),
    "relu": (0, math.inf),
    "relu_": (0, math.inf),
    "relu6": (0, 6),
    "sigmoid": (0, 1),
    "softmax": (0, 1),
    "softplus": (0, math.inf),
    "softsign": (-1, 1),
    "square": (0, math.inf),
    "tanh": (-1, 1),
}
SQUASHING = frozenset({"log_softmax", "logsigmoid", "relu", "sigmoid", "softmax", "tanh"})
CUTTING = frozenset({"clamp", "clamp_", "clip", "hardtanh", "relu", "relu6"})
LAYERS = ("linear", "conv1d", "conv2d", "conv3d", "matmul", "__matmul__", "mm", "mv")


@rule(
    severity="error",
    title="the outputs cannot reach the targets: the last activation bounds them",
    fix="- nn.Linear(width, 1), nn.ReLU()\n+ nn.Linear(width, 1)",
    born="relu_before_the_loss",
    causes=("dead-units",),
)
def outputs_cannot_reach_targets(record: Record) -> Sign | None:
    """Find an activation behind the last layer that keeps outputs from where they should go.

    ReLU gives nothing below 0, a sigmoid lies between 0 and 1, tanh between -1 and 1. Targets
    beyond that cannot be met, and the gradient of what lies outside is zero or nearly so.
    """
    found = [meeting for meeting in meetings(record) if _range_of(meeting) is not None]
    if not found:
        return None
    first, source = found[0], found[0].source
    low, high = _range_of(first) or (-math.inf, math.inf)
    name = source.name.strip("_") if source is not None else ""
    where = source.module if source is not None else ""
    alike = [m for m in found if m.call.where == first.call.where and m.kind == first.kind]
    if first.is_distance:
        targets = torch.cat([meeting.targets.detach().double().flatten() for meeting in alike])
        missed = targets - targets.clamp(low, high)
        spread = (targets - targets.mean()).square().sum()
        share = float(missed.square().sum() / spread) if float(spread) else 0.0
        if not share > SHARE:
            return None
        outside = float((missed != 0).double().mean())
        evidence = (
            f"{name} gives numbers from {low:g} to {high:g}, and {outside:.0%} of the targets lie "
            f"outside, which leaves at least {share:.0%} of their variance unexplained"
        )
        return Sign(evidence, where)
    if name in ("sigmoid", "softmax"):
        return None  # has a rule of its own
    floor, constant = _least_loss(alike, low, high)
    if floor > SHARE * constant:
        evidence = (
            f"{name} gives logits from {low:g} to {high:g} only, with which {first.kind} cannot "
            f"fall below {floor:.3g}; a constant answer reaches {constant:.3g}"
        )
        return Sign(evidence, where, f"- return torch.{name}(self.last(x))\n+ return self.last(x)")
    if name == "relu" and source is not None and not outcome_of(record).falling:
        result = compare(record, _without(source, _index_of(first, source)))
        if result is not None and result.wins:
            zero = float((source.results[0] == 0).float().mean())
            evidence = (
                f"{zero:.0%} of the logits are cut off at 0; in an experiment the loss ended at "
                f"{result.repaired:.3g} without that ReLU and at {result.as_is:.3g} with it"
            )
            return Sign(evidence, where, title="ReLU cuts off the logits before cross-entropy")
    return None


@rule(
    severity="error",
    title="dropout follows the last layer: outputs themselves are set to zero",
    fix="- nn.Linear(width, 1), nn.Dropout(0.5)\n+ nn.Linear(width, 1)",
    born="dropout_on_the_outputs",
    causes=("dropout-too-strong",),
)
def dropout_on_the_outputs(record: Record) -> Sign | None:
    """Find dropout between the last layer and the loss.

    In training each output is either set to zero or made larger, and no network can know which.
    The best it can do is a compromise, which in evaluation mode, where nothing is dropped, is what
    it says.
    """
    for trace in traces_of(record)[:1]:
        for call, _ in trace.near_the_loss():
            targets = [m for m in meetings(record) if m.call is call]
            given = targets[0].predictions if targets else None
            if given is None and call.name in SQUASHING and call.tensors:
                given = call.tensors[0]
            if given is None:
                continue
            source = trace.source(given, call.number, SHAPING | SQUASHING)
            if source is None or "dropout" not in source.name or not _drops(source):
                continue
            p = source.argument(1, "p", 0.5)
            evidence = f"dropout with p={p} was applied to outputs of shape "
            evidence += f"{tuple(source.results[0].shape)} right before {call.name}"
            return Sign(evidence, source.module or source.where)
    return None


@rule(
    severity="warning",
    title="the last layer has no bias",
    fix="- nn.Linear(width, 1, bias=False)\n+ nn.Linear(width, 1)",
    born="bias_left_out",
    causes=("rate-too-low", "targets-unscaled", "stopped-while-falling"),
)
def bias_left_out(record: Record) -> Sign | None:
    """Find a last layer without a bias, where predictions miss the mean of the targets.

    Without a bias the prediction for inputs of zero is zero. The mean of the targets must then be
    made of the inputs, which know nothing of it.
    """
    found = [meeting for meeting in meetings(record, final=True) if _last_without_bias(meeting)]
    if not found:
        return None
    first = found[0]
    if first.is_distance:
        alike = [m for m in found if m.call.where == first.call.where]
        targets = torch.cat([m.targets.detach().double().flatten() for m in alike])
        errors = torch.cat([(m.targets - m.predictions).detach().double().flatten() for m in alike])
        if not float(errors.mean().abs()) > SHARE * float(targets.std()):
            return None
        shown = f"the mean of the targets is {float(targets.mean()):.3g}, that of the predictions "
        shown += f"{float(targets.mean() - errors.mean()):.3g}"
    elif outcome_of(record).healthy:
        return None
    else:
        shown = "the last layer has no bias"
    result = compare(record, _with_bias)
    if result is None or not result.wins:
        return None
    source = first.source
    evidence = (
        f"{shown}; in an experiment the loss ended at {result.repaired:.3g} with a bias and at "
        f"{result.as_is:.3g} without"
    )
    return Sign(evidence, source.module if source is not None else "")


@rule(
    severity="error",
    title="a loss on probabilities (BCELoss) is given logits cut off at 0 and 1: no sigmoid",
    fix="- loss_fn = nn.BCELoss()\n+ loss_fn = nn.BCEWithLogitsLoss()",
    born="binary_loss_on_logits",
    causes=("outputs-cannot-reach-targets",),
)
def binary_loss_on_logits(record: Record) -> Sign | None:
    """Find binary cross-entropy of logits that were cut off at 0 and 1.

    Cut off, logits pass for probabilities, and no gradient comes back from those that were cut. A
    sigmoid, or the loss that applies one itself, takes every number.
    """
    for meeting in meetings(record)[:2]:
        source = meeting.source
        if meeting.kind != "binary_cross_entropy" or source is None or source.name not in CUTTING:
            continue
        below = meeting.trace.source(meeting.predictions, meeting.call.number, SHAPING | CUTTING)
        if below is not None and below.name in LAYERS:
            cut = float(((meeting.predictions <= 0) | (meeting.predictions >= 1)).float().mean())
            evidence = f"{source.name} cut the outputs of the last layer off at 0 and 1, "
            evidence += f"{cut:.0%} of them, instead of a sigmoid"
            return Sign(evidence, meeting.call.where)
    return None


def _range_of(meeting: Meeting) -> tuple[float, float] | None:
    """Return the bounds of the predictions, if an activation sets any."""
    source = meeting.source
    logits = ("cross_entropy", "binary_cross_entropy_with_logits")
    if source is None or not (meeting.is_distance or meeting.kind in logits):
        return None
    if source.name == "hardtanh":
        return source.argument(1, "min_val", -1.0), source.argument(2, "max_val", 1.0)
    return RANGES.get(source.name)


def _least_loss(found: list[Meeting], low: float, high: float) -> tuple[float, float]:
    """Return the least mean loss with logits within bounds, and that of a constant answer."""
    targets = torch.cat([meeting.targets.detach().flatten() for meeting in found])
    low, high = max(low, -30.0), min(high, 30.0)
    if found[0].kind == "cross_entropy":
        classes = found[0].predictions.shape[1 if found[0].predictions.dim() > 1 else 0]
        if targets.is_floating_point() or classes < 2:
            return 0.0, 1.0
        shares = torch.bincount(targets[targets >= 0]).double()
        shares = shares / shares.sum()
        entropy = float(-(shares * shares.clamp_min(1e-12).log()).sum())
        return math.log1p((classes - 1) * math.exp(low - high)), entropy
    rate = float(targets.double().mean())
    least = rate * math.log1p(math.exp(-high))
    least += (1 - rate) * math.log1p(math.exp(low))
    constant = -sum(p * math.log(p) for p in (rate, 1 - rate) if 0 < p < 1)
    return least, constant


def _index_of(meeting: Meeting, source: Call) -> int:
    """Count the calls of a function within a network's call before one of them."""
    calls = meeting.trace.calls[: source.number]
    return sum(call.name == source.name and call.entry == source.entry for call in calls)


class _Skipping(TorchFunctionMode):
    """Gives back what one call of a function is given instead of its result."""

    def __init__(self, name: str, index: int) -> None:
        super().__init__()
        self.name, self.left = name, index

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") == self.name:
            self.left -= 1
            if self.left == -1:
                return args[0].clone()
        return func(*args, **(kwargs or {}))


class _Without(nn.Module):
    """A network without one of its calls."""

    def __init__(self, model: nn.Module, name: str, index: int) -> None:
        super().__init__()
        self.model, self.name, self.index = model, name, index

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with _Skipping(self.name, self.index):
            return self.model(*args, **kwargs)


def _without(source: Call, index: int) -> Callable[[Trial], None]:
    def cure(trial: Trial) -> None:
        for name, model in list(trial.models.items()):
            if any(entry.name == name for entry in _at(trial, source.entry)):
                trial.models[name] = _Without(model, source.name, index)

    return cure


def _at(trial: Trial, place: int) -> Iterable[Any]:
    return trial.tapes[0].entries[place : place + 1]


def _drops(source: Call) -> bool:
    return bool((source.results[0] == 0).any()) and source.argument(1, "p", 0.5) > 0


def _last_without_bias(meeting: Meeting) -> bool:
    source = meeting.source
    if source is None or source.name not in LAYERS or not source.module:
        return False
    return source.name.strip("_") in ("matmul", "mm", "mv") or source.argument(2, "bias") is None


def _with_bias(trial: Trial) -> None:
    """Add a parameter to what comes out of the network that is called last."""
    last = trial.tapes[0].networks[-1]
    shape = trial.tapes[0].shapes[last.results[0]]
    bias = nn.Parameter(torch.zeros(shape[-1] if len(shape) > 1 else 1))
    trial.optimizer.add_param_group({"params": [bias]})

    def outputs(name: str, result: Any) -> Any:
        return result + bias if name == last.name and isinstance(result, Tensor) else result

    trial.outputs = outputs
