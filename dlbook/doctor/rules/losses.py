"""Rules about what losses are given: logits or probabilities, or their logarithms."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dlbook.doctor.graphs import SHAPING, Graph, Node
from dlbook.doctor.meetings import LOSSES, meetings
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.traces import Call, Trace, traces_of

__all__ = [
    "log_left_out",
    "one_logit_with_cross_entropy",
    "sigmoid_before_loss_on_logits",
    "softmax_before_cross_entropy",
    "softmax_over_the_batch",
]

# What changes probabilities by little on their way to the loss: a bound or a small number added.
GUARDS = SHAPING | {"Clamp", "ClampMin", "ClampMax"}
# What stands between the outputs of a network and its loss.
PLAIN = GUARDS | {
    *("Add", "Cat", "Div", "Exp", "Gather", "Index", "Log", "Mean", "Mul", "Neg", "Pow", "Rsub"),
    *("BinaryCrossEntropy", "HuberLoss", "MseLoss", "NllLoss", "NllLoss2D", "SmoothL1Loss"),
    *("Abs", "Sqrt", "Stack", "Sub", "Sum", "Xlogy"),
}
SOFTMAX = ("softmax", "log_softmax")
NEAR = 1e-2  # to one, for sums of probabilities, also in half precision


@rule(
    severity="error",
    title="softmax is applied twice",
    fix="- loss = cross_entropy(softmax(model(X)), y)\n+ loss = cross_entropy(model(X), y)",
    born="softmax_before_cross_entropy",
    causes=("softmax-over-the-batch",),
)
def softmax_before_cross_entropy(record: Record) -> Sign | None:
    """Find softmax before cross-entropy.

    Cross-entropy takes logits and applies softmax itself. Applied to probabilities, which lie
    between 0 and 1, it can tell the classes apart by a factor of e at most, and its gradients are
    small.
    """
    for backward in record.backwards:
        for node in backward.graph.of_kind("LogSoftmax", "Softmax"):
            if _beneath(node, "Softmax"):
                applies = "log_softmax (in cross_entropy or by itself)"
                applies = applies if node.kind == "LogSoftmax" else "softmax"
                return Sign(f"{applies} was given what softmax returned", backward.where)
    return None


@rule(
    severity="error",
    title="sigmoid is applied twice",
    fix="- loss = bce_with_logits(sigmoid(model(X)), y)\n+ loss = bce_with_logits(model(X), y)",
    born="sigmoid_before_loss_on_logits",
)
def sigmoid_before_loss_on_logits(record: Record) -> Sign | None:
    """Find a sigmoid before a loss that takes logits.

    The loss takes logits and applies the sigmoid, or softmax, itself. Applied to probabilities,
    none of which is below 0, a sigmoid can give no example a probability below one half, and
    softmax can tell classes apart by a factor of e at most.
    """
    for backward in record.backwards:
        for node in backward.graph.of_kind("BinaryCrossEntropyWithLogits", "Sigmoid", "LogSigmoid"):
            if _beneath(node, "Sigmoid"):
                names = {"Sigmoid": "sigmoid", "LogSigmoid": "logsigmoid"}
                name = names.get(node.kind, "binary_cross_entropy_with_logits")
                return Sign(f"{name} was given what sigmoid returned", backward.where)
            if node.kind == "BinaryCrossEntropyWithLogits" and _beneath(node, "Softmax"):
                return Sign(
                    "binary_cross_entropy_with_logits was given what softmax returned",
                    backward.where,
                    "- loss = bce_with_logits(softmax(model(X)), Y)\n"
                    "+ loss = bce_with_logits(model(X), Y)",
                    "softmax comes before a loss that takes logits and applies a sigmoid itself",
                )
        for node in backward.graph.of_kind("LogSoftmax", "Softmax"):
            if _beneath(node, "Sigmoid") and id(node) in _near(backward.graph):
                return Sign(
                    "softmax (in cross_entropy or by itself) was given what sigmoid returned",
                    backward.where,
                    "- loss = cross_entropy(sigmoid(model(X)), y)\n"
                    "+ loss = cross_entropy(model(X), y)",
                    "sigmoid comes before cross-entropy, which takes logits and applies softmax",
                )
    return None


@rule(
    severity="error",
    title="softmax runs over the batch instead of the classes (dim=0)",
    fix="- torch.softmax(logits, dim=0)\n+ torch.softmax(logits, dim=1)",
    born="softmax_over_the_batch",
    causes=("samples-mixed-across-the-batch",),
)
def softmax_over_the_batch(record: Record) -> Sign | None:
    """Find softmax along the axis of the batch.

    Along axis 0 the records of a batch share each class among them, so that the answer to one
    depends on which others stand beside it, and that to a record alone is 1 for every class.
    """
    for backward in record.backwards:
        for node in backward.graph.of_kind("NllLoss"):
            given = node.saved.get("self")
            if given is None or given.dim() != 2 or 1 in given.shape:
                continue
            for values in (given.double().exp(), given.double()):
                if _sums_to_one(values, 0) and not _sums_to_one(values, 1):
                    return Sign(_over_the_batch(tuple(given.shape)), backward.where)
    for trace in traces_of(record)[:1]:
        for call in _softmax_of_records(trace):
            shape = tuple(call.results[0].shape)
            if _axis(call) == 0 and len(shape) == 2 and shape[0] != shape[1] > 1:
                return Sign(_over_the_batch(shape), call.where or call.module)
    return None


@rule(
    severity="error",
    title="the logarithm is left out: a loss on log-probabilities is given probabilities",
    fix="- loss = nll_loss(softmax(z, 1), y)\n+ loss = nll_loss(log_softmax(z, 1), y)",
    born="log_left_out",
)
def log_left_out(record: Record) -> Sign | None:
    """Find losses that take logarithms of probabilities and are given something else.

    ``nll_loss`` only picks out the entry of the true class and turns its sign. Of probabilities
    that makes a loss of -p, for which nothing is paid for calling impossible what does happen; of
    logits, one that falls without end.
    """
    for backward in record.backwards:
        for node in backward.graph.of_kind("NllLoss", "NllLoss2D"):
            given = node.saved.get("self")
            if given is None or not bool(given.isfinite().all()):
                continue
            axis = 1 if given.dim() > 1 else 0
            source = node.source()
            squashed = source is not None and source.kind in ("Softmax", "Sigmoid")
            if squashed or (given.shape[axis] > 1 and _are_probabilities(given, axis)):
                return Sign("nll_loss was given numbers between 0 and 1", backward.where)
            logarithms = ("Log", "LogSigmoid", "LogSoftmax", "Logsumexp", "Log2", "Log10", "Log1P")
            known = any(backward.graph.of_kind(*logarithms, "Softmax", "Softplus"))
            if not known and backward.graph.whole and bool((given > 0).any()):
                low, high = given.min().item(), given.max().item()
                return Sign(
                    f"nll_loss was given numbers from {low:.3g} to {high:.3g}, which came out of "
                    "no logarithm",
                    backward.where,
                    "- loss = nll_loss(model(X), y)\n+ loss = cross_entropy(model(X), y)",
                    "log_softmax is missing: nll_loss is given logits",
                )
    for meeting in meetings(record)[:2]:
        given = meeting.predictions
        if meeting.kind in ("kl_div", "ctc_loss") and _are_probabilities(given, -1):
            fix = f"- {meeting.kind}(softmax(z, -1), …)\n+ {meeting.kind}(log_softmax(z, -1), …)"
            where = meeting.call.where or meeting.call.module
            return Sign(f"{meeting.kind} was given probabilities that sum to 1", where, fix)
    return None


@rule(
    severity="error",
    title="cross-entropy over a single output is always 0: softmax of one logit is 1",
    fix="- loss = cross_entropy(model(X), Y)\n"
    "+ loss = binary_cross_entropy_with_logits(model(X), Y)",
    born="one_logit_with_cross_entropy",
    causes=("steps-change-nothing", "graph-cut", "no-gradient-through-rounding"),
)
def one_logit_with_cross_entropy(record: Record) -> Sign | None:
    """Find softmax over an axis on which there is one number only.

    Of a single logit softmax makes 1, whatever it is. Its logarithm is 0, and so is every gradient:
    the network stays as it was drawn.
    """
    for backward in record.backwards:
        near = _near(backward.graph)
        for node in backward.graph.of_kind("LogSoftmax", "Softmax"):
            if not node.shape or id(node) not in near:
                continue
            dim = node.saved.get("dim", -1)
            if node.shape[dim % len(node.shape)] == 1:
                shape = tuple(node.shape)
                evidence = f"softmax ran over axis {dim % len(shape)} of outputs of shape {shape}"
                return Sign(f"{evidence}: every probability is 1", backward.where)
    return None


def _beneath(node: Node, kind: str) -> bool:
    """Tell whether what an operation was given is the result of one of a kind, or nearly so."""
    below = node.inputs[0] if node.inputs else None
    while below is not None and below.inputs:
        guards = below.kind in GUARDS or (below.kind == "Add" and len(below.inputs) == 1)
        if not guards:
            break
        below = below.inputs[0]
    return below is not None and below.kind == kind


def _near(graph: Graph) -> set[int]:
    """Return the ids of the operations between the outputs of the network and the loss."""
    waiting, found = graph.nodes[:1], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found.add(id(node))
            waiting += node.inputs if node.kind in PLAIN else []
    return found


def _softmax_of_records(trace: Trace) -> Iterator[Call]:
    """Yield the softmax calls next to the loss whose first axis is that of the network's inputs."""
    records = {
        tensor.shape[0]
        for entry in trace.tape.networks
        for slot in entry.refs
        if (tensor := trace.values[slot]).dim() > 1
    }
    outputs = {
        trace.values[slot].shape[0]
        for entry in trace.tape.networks
        for slot in entry.results
        if trace.values[slot].dim() > 1
    }
    near = [call for call, _ in trace.near_the_loss()]
    before = [trace.source(call.tensors[0], call.number) for call in near if call.name in LOSSES]
    for call in (*near, *before):
        if call is None or call.name not in SOFTMAX or call.results[0].dim() < 2:
            continue
        if call.results[0].shape[0] in records & outputs:
            yield call


def _axis(call: Call) -> int | None:
    dim = call.argument(1, "dim")
    return dim % call.results[0].dim() if isinstance(dim, int) else None


def _over_the_batch(shape: tuple[int, ...]) -> str:
    return (
        f"of outputs of shape {shape}, the probabilities sum to 1 along axis 0, over {shape[0]} "
        f"records, and not along axis 1, over {shape[1]} classes"
    )


def _sums_to_one(values: Tensor, axis: int) -> bool:
    sums = values.detach().double().sum(axis)
    return bool(((sums - 1).abs() < NEAR).all())


def _are_probabilities(values: Tensor, axis: int) -> bool:
    values = values.detach()
    between = bool(((values >= 0) & (values <= 1 + NEAR)).all())
    return (
        between and values.dim() > 0 and bool(torch.any(values > 0)) and _sums_to_one(values, axis)
    )
