"""Rules about what lets no gradient through, or one that is no number."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from dlbook.doctor.graphs import SHAPING, Graph, Node
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.traces import Call, Trace, traces_of

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
    title="the loss takes the logarithm of zero: an unstable form by hand",
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
    when = f"after {broken.step} steps the loss was not finite, with all weights finite"
    for node in broken.graph.of_kind("Log", "Log2", "Log10", "Xlogy"):
        least = node.saved.get("least", 1.0)
        if least > 0 or math.isnan(least):
            continue
        told = f"{when}; {node.kind.lower()} was taken of numbers down to {least:g}"
        if least < 0:
            fix = "- p = model(X)\n+ p = torch.sigmoid(model(X))"
            title = "the loss takes the logarithm of numbers below 0: logits, not probabilities"
            return Sign(told, broken.where, fix, title)
        name = _squashed_by(node)
        title = f"the logarithm of a {name} is taken by hand (unstable), and is that of 0"
        stable = {"softmax": "torch.log_softmax(z, dim=1)", "sigmoid": "functional.logsigmoid(z)"}
        fix = f"- log_p = torch.log(torch.{name}(z))\n+ log_p = {stable.get(name)}"
        return Sign(told, broken.where, *((fix, title) if name else ()))
    for trace in (t for t in traces_of(record) if not math.isfinite(t.tape.value)):
        call = _breaks(trace)
        if call is None or call.name.rstrip("_") not in ("log", "log2", "log10", "xlogy"):
            return None
        least = min(float(t.min()) for t in call.tensors if t.numel())
        told = f"{when}; {call.name} was taken of numbers down to {least:g}, before any layer"
        fix = f"- x = torch.{call.name}(x)\n+ x = torch.log1p(x)"
        title = "the logarithm of 0 is taken of the inputs"
        return Sign(told, call.where or call.module, fix, title if least == 0 else "")
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


def _squashed_by(node: Node) -> str:
    """Name the function whose result a logarithm was taken of, if it is softmax or a sigmoid."""
    below = node.inputs[0] if node.inputs else None
    while below is not None:
        made_of = {source.kind for n in range(len(below.inputs)) if (source := below.source(n))}
        if below.kind == "Softmax" or (below.kind == "Div" and "Exp" in made_of):
            return "softmax"
        if below.kind in ("Reciprocal", "Sigmoid"):
            return "sigmoid"
        if below.kind not in SHAPING | {"Add", "Gather", "Index", "Rsub", "Sub"}:
            return ""
        below = below.inputs[0] if len(below.inputs) == 1 else None
    return ""


def _breaks(trace: Trace) -> Call | None:
    """Return the first call that made of finite numbers one that is not."""
    for call in trace.calls:
        if any(not bool(t.isfinite().all()) for t in call.results if t.is_floating_point()):
            return call if all(bool(t.isfinite().all()) for t in call.tensors) else None
    return None


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
