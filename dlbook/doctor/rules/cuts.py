"""Rules about what lets no gradient through, or one that is no number."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from dlbook.doctor.graphs import Graph, Node
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule

__all__ = [
    "logarithm_of_zero",
    "loss_detached",
    "no_gradient_through_rounding",
    "rounding_without_a_gradient",
]

ROUNDING = ("Ceil", "Floor", "Round", "Sign", "Trunc")


@rule(
    severity="error",
    title="predictions are rounded before the loss, and no gradient goes through rounding",
    fix="- loss = loss_fn(model(X).round(), y)\n+ loss = loss_fn(model(X), y)",
    born="prediction_rounded_in_the_loss",
    causes=("steps-change-nothing", "graph-cut", "rounding-without-a-gradient", "rate-too-low"),
)
def no_gradient_through_rounding(record: Record) -> Sign | None:
    """Find rounding between the network and the loss.

    A step changes a prediction by little, and the rounded one not at all. The gradient of rounding
    is 0 everywhere, and all that flows back through it is 0.
    """
    return _rounding(record, whole=True)


@rule(
    severity="error",
    title="rounding within the network lets no gradient through",
    fix="- bits = x.round()\n+ bits = x + (x.round() - x).detach()",
    born="rounding_without_a_gradient",
    causes=("layers-frozen-by-a-slip", "graph-cut", "vanishing-gradients"),
)
def rounding_without_a_gradient(record: Record) -> Sign | None:
    """Find parameters that reach the loss through rounding only.

    A rounded value does not change when its argument changes a little. Its derivative is zero
    wherever it exists, and so is every gradient in front of it: these layers never learn.
    """
    return _rounding(record, whole=False)


@rule(
    severity="error",
    title="the loss takes the logarithm of zero",
    fix="- log_p = torch.log(torch.sigmoid(z))\n+ log_p = functional.logsigmoid(z)",
    born="unstable_by_hand",
    causes=("loss-not-finite", "nan-gradient", "rate-too-high", "exploding-gradients"),
)
def logarithm_of_zero(record: Record) -> Sign | None:
    """Find the logarithm that made a loss infinite or NaN.

    In single precision the sigmoid of 17 is exactly 1, and of -104 exactly 0. The logarithm of 0
    is negative infinity, and 0 times that is NaN, which the next step puts into all weights.
    """
    broken = record.broken
    if broken is None or broken.parameters:
        return None
    for node in broken.graph.of_kind("Log", "Log2", "Log10", "Xlogy"):
        least = node.saved.get("least", 1.0)
        if least > 0 or math.isnan(least):
            continue
        told = f"after {broken.step} steps the loss was not finite, with all weights finite; "
        told += f"{node.kind.lower()} was taken of numbers down to {least:g}"
        if least == 0:
            return Sign(told, broken.where)
        fix = "- p = model(X)\n+ p = torch.sigmoid(model(X))"
        title = "the loss takes the logarithm of numbers below 0: logits, not probabilities"
        return Sign(told, broken.where, fix, title)
    return None


@rule(
    severity="error",
    title="backward is called on a loss that was taken out of its graph (detached)",
    fix="- loss = torch.tensor(loss.item(), requires_grad=True)\n  loss.backward()",
    born="loss_detached",
    causes=("steps-change-nothing", "graph-cut", "backward-never-called", "step-before-backward"),
)
def loss_detached(record: Record) -> Sign | None:
    """Find a backward pass of a tensor that nothing was computed for.

    A tensor made of a number knows nothing of the network. ``requires_grad=True`` makes it a leaf
    of its own: ``backward`` gives it the gradient 1, and no parameter gets one.
    """
    looked = record.backwards
    if not looked or not all(backward.leaf for backward in looked):
        return None
    evidence = (
        f"backward was called {record.counts['backward']} times on a tensor made anew, with no "
        "operation behind it: no parameter got a gradient"
    )
    return Sign(evidence, looked[0].where)


def _rounding(record: Record, *, whole: bool) -> Sign | None:
    """Find parameters behind rounding alone: all that there are, or some."""
    for backward in record.backwards:
        rounding = [node.kind.lower() for node in backward.graph.of_kind(*ROUNDING)]
        if not rounding or not backward.graph.whole:
            return None
        behind = backward.graph.parameters.keys()
        reached = {id(p) for p in _without_rounding(backward.graph)}
        blocked = [record.parameters[i].name for i in behind - reached if i in record.parameters]
        if not blocked or whole == bool(reached):
            return None
        shown = ", ".join(sorted(blocked)[:3]) + (" and more" if len(blocked) > 3 else "")
        evidence = (
            f"{len(blocked)} of {len(behind)} parameters reach the loss only through "
            f"{rounding[0]}: {shown}"
        )
        return Sign(evidence, backward.where)
    return None


def _without_rounding(graph: Graph) -> Iterator[Tensor]:
    """Yield the parameters that gradients reach without passing a rounding."""
    waiting: list[Node] = graph.nodes[:1]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or node.kind in ROUNDING:
            continue
        seen.add(id(node))
        if node.parameter is not None:
            yield node.parameter
        waiting += node.inputs
