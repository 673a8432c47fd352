"""Rules about targets: their shape, their weights, and the axis of the classes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlbook.doctor.experiments import own_draws
from dlbook.doctor.meetings import DISTANCES, Meeting, measured, meetings
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.tape import Entry, Tape
from dlbook.doctor.traces import SHAPING, Call, Trace, traces_of

__all__ = [
    "accuracy_over_the_wrong_axis",
    "class_weights_the_wrong_way_round",
    "labels_of_several_classes",
    "loss_arguments_swapped",
    "targets_broadcast",
    "targets_outside_0_and_1",
]

PAIRWISE = (*DISTANCES, "kl_div", "poisson_nll_loss", "soft_margin_loss")
ARITHMETIC = ("sub", "rsub", "subtract", "mul", "multiply", "add", "div", "__sub__", "__rsub__")
ONE_SIDED = ("binary_cross_entropy_with_logits", "cross_entropy", "poisson_nll_loss")
COMPARING = ("__eq__", "__ne__", "eq", "ne", "isclose")
KEEPING_ORDER = ("softmax", "log_softmax", "sigmoid", "exp", "detach", "cpu", "float", "double")
RARER = 2.0  # times: below, classes count as equally frequent


@rule(
    severity="error",
    title="predictions and targets of different shapes are compared pair by pair (broadcast)",
    fix="- loss = mse_loss(model(X), y)\n+ loss = mse_loss(model(X), y[:, None])",
    born="targets_broadcast",
    causes=(
        *("inputs-ignored", "labels-unrelated-to-inputs", "rate-too-low", "rate-too-high"),
        *("too-little-capacity", "vanishing-gradients", "dead-units", "stopped-while-falling"),
    ),
)
def targets_broadcast(record: Record) -> Sign | None:
    """Find targets that broadcast against the predictions.

    Shapes (n, 1) and (n,) broadcast to (n, n): each prediction is compared with every target, and
    the best that a network can do is to predict the mean of all targets.
    """
    for trace in traces_of(record)[:1]:
        for call, _ in trace.near_the_loss():
            sides = _sides(call)
            if sides is None:
                continue
            predictions, targets = sides
            first, second = tuple(predictions.shape), tuple(targets.shape)
            both = _both_broadcast(first, second) and predictions.numel() == targets.numel()
            known = call.name in PAIRWISE and (both or _both_broadcast(first, first, second))
            if known or (both and call.name in ARITHMETIC and _ignores_order(trace, targets)):
                return Sign(_compared(call.name, first, second), call.where or call.module)
    for tape in record.tapes:  # of those that cannot be played again
        for entry in tape.entries:
            if entry.name in PAIRWISE and len(entry.refs) > 1:
                first, second = (tape.shapes[slot] for slot in entry.refs[:2])
                if _both_broadcast(first, first, second):
                    return Sign(_compared(entry.name, first, second), entry.where)
    for tape, entry in measured(record):
        if entry.name in COMPARING and len(entry.refs) > 1:
            first, second = (tape.shapes[slot] for slot in entry.refs[:2])
            if _both_broadcast(first, second) and math.prod(first) == math.prod(second):
                title = "an accuracy compares predictions and labels pair by pair (broadcast)"
                fix = "- (predicted == y).float().mean()\n"
                fix += "+ (predicted.flatten() == y.flatten()).float().mean()"
                return Sign(_compared("==", first, second), entry.where, fix, title)
    return None


@rule(
    severity="error",
    title="the predicted class is looked for along the wrong axis",
    fix="- predicted = logits.argmax(0)\n+ predicted = logits.argmax(-1)",
    born="accuracy_over_the_wrong_axis",
)
def accuracy_over_the_wrong_axis(record: Record) -> Sign | None:
    """Find ``argmax`` along an axis that is not that of the classes.

    In the loss one axis of the outputs is that of the classes. Along any other, ``argmax`` finds
    the record or the place at which a class scores highest, and no class.
    """
    classes = _class_axis(record)
    if classes is None:
        return None
    axis, rank = classes
    for tape, entry in measured(record):
        if entry.name not in ("argmax", "max", "topk") or not entry.refs or not entry.results:
            continue
        place = 1 if entry.name != "topk" else 2
        dim = entry.args[place] if len(entry.args) > place else entry.kwargs.get("dim")
        if entry.name == "max" and not isinstance(dim, int):
            continue
        dim = -1 if dim is None and entry.name == "topk" else dim
        if not _is_compared(tape, entry.results[-1]):
            continue
        tags = _tags(tape, entry.refs[0], rank)
        if tags is None:
            continue
        along = [_varies(tag, dim) for tag in tags]
        if (along[axis] and dim is not None) or not any(along):
            continue
        others = [number for number, varies in enumerate(along) if varies and number != axis]
        if not others:
            continue
        shape = tape.shapes[entry.refs[0]]
        told = f"{entry.name} ran along axis {dim}" if dim is not None else "argmax without an axis"
        told += (
            f" of outputs of shape {shape}; in the loss the classes stand on axis {axis} of what"
        )
        return Sign(f"{told} the network gives out", entry.where)
    return None


@rule(
    severity="error",
    title="class weights are the wrong way round: frequent classes count more",
    fix="- weights = counts / counts.sum()\n+ weights = counts.sum() / counts",
    born="class_weights_the_wrong_way_round",
    causes=("rare-class-ignored",),
)
def class_weights_the_wrong_way_round(record: Record) -> Sign | None:
    """Find class weights that grow with the number of examples.

    Weights are meant to make up for numbers. Where the more frequent class also weighs more, the
    rare ones count even less than without weights.
    """
    found = [(m, weights) for m in meetings(record) if (weights := _weights(m)) is not None]
    if not found:
        return None
    counts: dict[float, int] = {}
    for meeting, _ in found:
        for label, count in zip(*torch.unique(meeting.targets, return_counts=True), strict=True):
            counts[float(label)] = counts.get(float(label), 0) + int(count)
    weights = {label: w for _, by_class in found for label, w in by_class.items()}
    pairs = [
        (math.log(counts[c]), math.log(w)) for c, w in weights.items() if c in counts and w > 0
    ]
    if len(pairs) < 2:
        return None
    x, y = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    x, y = x - x.mean(), y - y.mean()
    if float(x.max() - x.min()) < math.log(RARER) or float(y.max() - y.min()) < 0.1:
        return None
    slope = float((x @ y) / (x @ x))
    correlation = float((x @ y) / (x.norm() * y.norm()))
    if correlation < 0.8 or not 0.3 < slope < 3:
        return None
    told = [
        f"{counts[c]} of class {c:g} weigh {weights[c]:.3g}" for c in sorted(counts) if c in weights
    ]
    return Sign("among the first examples, " + ", ".join(told[:4]), found[0][0].call.where)


@rule(
    severity="error",
    title="targets of a binary loss are neither 0 nor 1",
    fix="- y = labels.float()\n+ y = (labels == positive).float()",
    born="targets_outside_0_and_1",
    causes=("loss-of-the-wrong-sign", "exploding-gradients", "loss-not-finite"),
)
def targets_outside_0_and_1(record: Record) -> Sign | None:
    """Find targets of a binary loss outside 0 to 1.

    They are probabilities of the one class: 0 and 1, not 1 and 2, not -1 and 1, not 0 to 255.
    Beyond, the loss has no least value, and falls without end as the logits grow.
    """
    for meeting in meetings(record)[:1]:
        low, high = (float(value) for value in meeting.targets.detach().aminmax())
        if meeting.kind == "binary_cross_entropy_with_logits" and (low < 0 or high > 1):
            return Sign(f"the targets run from {low:.3g} to {high:.3g}", meeting.call.where)
    return None


@rule(
    severity="error",
    title="cross-entropy is given several classes at once (multi-label targets)",
    fix="- cross_entropy(logits, Y)\n+ binary_cross_entropy_with_logits(logits, Y)",
    born="several_labels_with_cross_entropy",
)
def labels_of_several_classes(record: Record) -> Sign | None:
    """Find targets for cross-entropy that mark several classes of one example.

    Cross-entropy takes probabilities that sum to 1 over the classes: of several that are marked it
    asks for each to have all. Whether each label holds is a question of its own.
    """
    for meeting in meetings(record)[:1]:
        targets = meeting.targets.detach()
        if meeting.kind != "cross_entropy" or not targets.is_floating_point() or targets.dim() < 2:
            continue
        sums = targets.sum(1)
        if bool(((targets == 0) | (targets == 1)).all()) and bool((sums > 1).any()):
            share = float((sums != 1).float().mean())
            evidence = f"of {share:.0%} of the examples not one class is marked, but up to "
            return Sign(f"{evidence}{int(sums.max())}", meeting.call.where)
    return None


@rule(
    severity="error",
    title="predictions and targets of the loss are swapped",
    fix="- loss_fn(y, model(X))\n+ loss_fn(model(X), y)",
    born="loss_arguments_swapped",
    causes=("loss-of-the-wrong-sign", "exploding-gradients", "loss-not-finite"),
)
def loss_arguments_swapped(record: Record) -> Sign | None:
    """Find a loss that is given targets where it takes predictions.

    To a distance the order does not matter. To cross-entropy it does: what is meant to be a target
    enters the loss as it is, so that the loss falls without end or has its least value elsewhere.
    """
    for trace in traces_of(record)[:1]:
        for call, _ in trace.near_the_loss():
            first, second = call.argument(0, "input"), call.argument(1, "target")
            if call.name not in ONE_SIDED or not isinstance(first, Tensor):
                continue
            swapped = isinstance(second, Tensor) and second.requires_grad
            if swapped and not first.requires_grad:
                told = f"{call.name} was given data first, and what the network gives out second"
                return Sign(told, call.where or call.module)
    return None


def _sides(call: Call) -> tuple[Tensor, Tensor] | None:
    """Return predictions and targets, if a call was given one of each."""
    given = [t for t in (*call.args[:2], *call.kwargs.values()) if isinstance(t, Tensor)]
    learned = [t for t in given if t.requires_grad]
    others = [t for t in given if not t.requires_grad]
    return (learned[0], others[0]) if learned and others else None


def _both_broadcast(*shapes: tuple[int, ...]) -> bool:
    """Tell whether the shapes fit together only by repeating each of the first two."""
    try:
        whole = np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return math.prod(whole) > max(math.prod(shapes[0]), math.prod(shapes[1]))


def _compared(name: str, first: tuple[int, ...], second: tuple[int, ...]) -> str:
    whole = np.broadcast_shapes(first, second)
    return f"{name} of predictions {first} and targets {second} made {whole}"


def _ignores_order(trace: Trace, targets: Tensor) -> bool:
    """Tell whether the loss stays the same whatever target stands by which prediction."""
    slots = [slot for slot, tensor in trace.values.items() if tensor is targets]
    if not slots or slots[0] not in trace.tape.given:
        return True
    turned = targets.reshape(-1).roll(1).reshape(targets.shape)
    if torch.equal(turned, targets):
        return False
    with own_draws(0):
        same = trace.tape.play(trace.models, given={slots[0]: targets})
    with own_draws(0):
        other = trace.tape.play(trace.models, given={slots[0]: turned})
    return bool(torch.isclose(same, other, rtol=1e-4))


def _is_compared(tape: Tape, slot: int) -> bool:
    """Tell whether something is compared, or nothing more is called on it by PyTorch."""
    follow, used = {slot}, False
    for entry in (*tape.entries, *tape.aside):
        if follow.intersection(entry.refs):
            used = True
            if entry.name in COMPARING:
                return True
            follow.update(entry.results)
    return not used


def _class_axis(record: Record) -> tuple[int, int] | None:
    """Return which axis of a network's outputs is that of the classes, and how many it has."""
    for meeting in meetings(record)[:1]:
        if meeting.kind not in ("cross_entropy", "nll_loss") or meeting.call.module:
            continue
        tape = meeting.trace.tape
        slots = [s for s, tensor in meeting.trace.values.items() if tensor is meeting.predictions]
        networks = [tape.shapes[entry.results[0]] for entry in tape.networks if entry.results]
        if not slots or not networks:
            continue
        rank = len(networks[-1])
        tags = _tags(tape, slots[0], rank)
        if tags is None:
            continue
        along = [_varies(tag, 1 if tag.dim() > 1 else 0) for tag in tags]
        if sum(along) == 1:
            return along.index(True), rank
    return None


def _tags(tape: Tape, slot: int, rank: int) -> list[Tensor] | None:
    """Follow the axes of a network's output to a place: for each, its numbers as they come there.

    None where anything but changes of shape, or of size in the same order, lies between.
    """
    needed, kept = {slot}, list[Entry]()
    for entry in reversed((*tape.entries, *tape.aside)):
        if needed.isdisjoint(entry.results):
            continue
        kept.insert(0, entry)
        if entry.function is None:
            break
        if entry.name not in SHAPING and entry.name not in (*KEEPING_ORDER, "__getitem__"):
            return None
        needed.update(entry.refs)
    if not kept or kept[0].function is not None or len(tape.shapes[kept[0].results[0]]) != rank:
        return None
    shape = tape.shapes[kept[0].results[0]]
    network = replace(kept[0], args=(), kwargs={}, results=kept[0].results[:1])
    calls = [replace(e, function=_same) if e.name in KEEPING_ORDER else e for e in kept[1:]]
    found = []
    for axis in range(rank):
        sizes = [shape[axis] if number == axis else 1 for number in range(rank)]
        tag = torch.arange(float(shape[axis])).reshape(sizes).expand(shape).clone()

        def stand_in(tag: Tensor = tag) -> Tensor:
            return tag

        try:
            values = tape.values({network.name: stand_in}, entries=[network, *calls])
        except (RuntimeError, TypeError, ValueError, KeyError, IndexError):
            return None
        found.append(values[slot])
    return found


def _same(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    return tensor


def _varies(tag: Tensor, dim: int | None) -> bool:
    """Tell whether the numbers of a tag differ along an axis."""
    along = tag.flatten() if dim is None else tag.movedim(dim, -1) if tag.dim() else tag
    return bool(along.dim() and (along != along[..., :1]).any())


def _weights(meeting: Meeting) -> dict[float, float] | None:
    """Return what each class weighs in a loss, where they do not weigh the same."""
    call, targets = meeting.call, meeting.targets
    if meeting.kind in ("cross_entropy", "nll_loss") and not targets.is_floating_point():
        weight = call.argument(2, "weight")
        if isinstance(weight, Tensor):
            return {float(label): float(w) for label, w in enumerate(weight.detach())}
    if meeting.kind == "binary_cross_entropy_with_logits":
        weight = call.kwargs.get("pos_weight")
        if isinstance(weight, Tensor) and weight.numel() == 1:
            return {0.0: 1.0, 1.0: float(weight)}
    per_record = call.argument(2, "weight") if "binary" in meeting.kind else None
    by_hand = [per_record] if isinstance(per_record, Tensor) else _factors(meeting)
    for weight in by_hand:
        flat, labels = weight.detach().flatten(), targets.flatten()
        if flat.numel() == labels.numel() and len(torch.unique(labels)) > 1:
            by_class = {float(c): torch.unique(flat[labels == c]) for c in torch.unique(labels)}
            if all(len(w) == 1 for w in by_class.values()):
                return {label: float(w) for label, w in by_class.items()}
    return None


def _factors(meeting: Meeting) -> list[Tensor]:
    """Return what the losses of single records are multiplied by."""
    calls = [c for c, _ in meeting.trace.near_the_loss() if c.name in ("mul", "__mul__")]
    labels = meeting.targets
    return [
        tensor
        for call in calls
        for tensor in call.tensors
        if not tensor.requires_grad and tensor.numel() == labels.numel() and tensor is not labels
    ]
