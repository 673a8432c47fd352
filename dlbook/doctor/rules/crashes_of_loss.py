"""Rules about exceptions in losses: labels and targets that do not fit, and what is no loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlbook.doctor.rules.crash import NOT_FINITE, Crash, explains, span_of
from dlbook.doctor.rules.rule import Sign

__all__: list[str] = []

SIZES = r"Expected input batch_size \((\d+)\) to match target batch_size \((\d+)\)"
HUGE = 1e10  # no sound weight is as large
MOST = 1_000  # operations of a graph that are looked at
PROBABILITIES = r"all elements of input should be between 0 and 1"


@explains(
    r"IndexError: Target (-?\d+) is out of bounds",
    r"Class values must be (?:smaller than num_classes|non-negative)",
    title="labels are out of range: there are fewer classes than labels say",
    fix="give the last layer an output for each class, and number the classes from 0",
    born="labels_out_of_range",
)
def labels_out_of_range(crash: Crash) -> Sign | None:
    """Find labels below 0, or not below the number of classes.

    A label is the place of its class among the outputs, from 0 to the number of classes less one.
    """
    logits, labels = crash.tensor("input"), crash.tensor("target", "tensor")
    span = span_of(labels)
    if logits is None or labels is None or span is None or logits is labels:
        return Sign("")
    low, high = (int(label) for label in span)
    classes = logits.shape[1 if logits.dim() > 1 else 0]
    told = f"labels run from {low} to {high}, and the network gives {classes} outputs: 0 to "
    told += f"{classes - 1}"
    if classes == 1:
        fix = "- nn.Linear(width, 1)\n+ nn.Linear(width, 2)\nor, for two classes,\n"
        fix += "- loss = cross_entropy(logits, y)\n"
        fix += "+ loss = binary_cross_entropy_with_logits(logits[:, 0], y.float())"
    elif low >= 1 and high == classes:
        fix = "- loss = cross_entropy(logits, y)\n+ loss = cross_entropy(logits, y - 1)"
    elif low < 0:
        fix = f"- cross_entropy(logits, y)\n+ cross_entropy(logits, y, ignore_index={low})"
        fix += "\nwhere that label means that there is none; else number the classes from 0"
    else:
        fix = f"- nn.Linear(width, {classes})\n+ nn.Linear(width, {high + 1})"
    return Sign(told, fix=fix)


@explains(
    r"expected target dtype to be Long or Byte, but got (\w+)",
    r"expected scalar type Long but found (\w+)",
    r"nll_loss\w*\" not implemented for '(\w+)'",
    r"Expected object of scalar type Long but got scalar type (\w+) for argument #2 'target'",
    r"one_hot is only applicable to index tensor of type LongTensor",
    title="labels are of the wrong type: cross-entropy takes whole numbers (int64)",
    fix="- loss = cross_entropy(logits, y)\n+ loss = cross_entropy(logits, y.long())",
    born="labels_of_a_wrong_type",
)
def labels_of_wrong_type(crash: Crash) -> Sign | None:
    """Find labels of classes that are no integers of 64 bits.

    A label is a place among the outputs. Labels read from a table with the inputs, or made by
    ``torch.tensor`` of floats, are numbers with a fraction, which PyTorch takes for no place.
    """
    labels = crash.tensor("target")
    if labels is None:
        return Sign("")
    return Sign(f"the labels have dtype {labels.dtype} and shape {tuple(labels.shape)}")


@explains(
    r"result type (Float|Double|Half|BFloat16) can't be cast to the desired output type (\w+)",
    r"Found dtype (Long|Int|Bool|Byte|Short|Char) but expected",
    title="targets of this loss are whole numbers where fractions are wanted",
    fix="- loss = binary_cross_entropy_with_logits(z, y)\n"
    "+ loss = binary_cross_entropy_with_logits(z, y.float())",
)
def targets_of_whole_numbers(crash: Crash) -> Sign | None:
    """Find losses between numbers that are given integers as targets.

    Losses on probabilities and on differences compute with their targets, which must be of the type
    of the predictions.
    """
    targets = crash.tensor("target")
    if targets is None or targets.is_floating_point():
        return None
    return Sign(f"the targets have dtype {targets.dtype}")


@explains(
    r"Expected target size \[([\d, ]+)\], got \[([\d, ]*)\]",
    r"size mismatch \(got input: \[([\d, ]+)\] , target: \[([\d, ]+)\]",
    title="the classes stand on the last axis, and cross-entropy looks for them on axis 1",
    fix="- loss = cross_entropy(logits, y)\n"
    "+ loss = cross_entropy(logits.flatten(0, -2), y.flatten())",
    born="classes_on_the_last_axis",
)
def classes_on_the_last_axis(crash: Crash) -> Sign | None:
    """Find scores of classes that stand on the last axis of more than two.

    Cross-entropy takes (batch, classes, places). What linear layers give for each place of a
    sequence is (batch, places, classes).
    """
    logits, labels = crash.tensor("input"), crash.tensor("target")
    if logits is None or labels is None or logits.shape[:-1] != labels.shape:
        return None
    return Sign(f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)}")


@explains(
    SIZES,
    title="view cuts the batch up: there are more predictions than examples",
    fix="- x = x.view(-1, width)\n+ x = x.flatten(1)",
    born="batch_cut_up_by_view",
)
def batch_cut_up_by_view(crash: Crash) -> Sign | None:
    """Find a view in the network that changed the number of rows.

    ``view(-1, width)`` lets PyTorch choose the number of rows. Where an example has more or fewer
    numbers than that width, its rows are cut up or joined, and no error is raised until the loss
    compares rows with labels.
    """
    rows, examples = int(crash.found[1]), int(crash.found[2])
    logits = crash.tensor("input")
    for before, after in _reshaped(logits):
        if before[:1] == [examples] and after[:1] == [rows]:
            told = f"{tuple(before)} was made into {tuple(after)}: {rows} rows of {examples}"
            width = math.prod(before[1:])
            return Sign(
                f"{told} examples, each of which has {width} numbers",
                fix=f"- x = x.view(-1, {math.prod(after[1:])})\n+ x = x.flatten(1)\n"
                f"and make the next layer {width} wide",
            )
    if examples and rows != examples and rows % examples == 0 and logits is not None:
        return Sign(f"{rows} rows of predictions for {examples} labels, {rows // examples} each")
    return None


@explains(
    r"0D or 1D target tensor expected, multi-target not supported",
    r"multi-target not supported at",
    r"only batches of spatial targets supported \(3D tensors\) but got targets of dimension: (\d)",
    title="labels have an axis too many",
    fix="- loss = cross_entropy(logits, y)\n+ loss = cross_entropy(logits, y.squeeze(1))",
)
def labels_with_an_axis_too_many(crash: Crash) -> Sign | None:
    """Find labels of one number each that stand in columns, or in rows of 0 and 1.

    Cross-entropy takes one label for each row of logits, as a tensor without further axes. A column
    of shape (n, 1) must lose its axis; rows of 0 and 1 are numbers with a fraction, as wide as
    there are classes.
    """
    logits, labels = crash.tensor("input"), crash.tensor("target")
    if logits is None or labels is None:
        return Sign("")
    told = f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)} of {labels.dtype}"
    if labels.dim() < 2 or labels.shape[1] == 1:
        long = "" if labels.dtype.is_floating_point is False else ".long()"
        return Sign(
            told,
            fix="- loss = cross_entropy(logits, y)\n"
            f"+ loss = cross_entropy(logits, y.squeeze(1){long})",
        )
    fix = "- loss = cross_entropy(logits, y)\n+ loss = cross_entropy(logits, y.argmax(1))"
    return Sign(told, fix=fix)


@explains(
    r"Expected floating point type for target with class probabilities, got (\w+)",
    title="labels have the shape of the logits and are read as probabilities",
    fix="- loss = cross_entropy(logits, one_hot)\n"
    "+ loss = cross_entropy(logits, one_hot.argmax(1))",
)
def labels_read_as_probabilities(crash: Crash) -> Sign | None:
    """Find integers where cross-entropy takes its targets for probabilities.

    Targets of the shape of the logits are probabilities of the classes. Rows of 0 and 1 must then
    be numbers with a fraction; and where logits have lost the axis of their classes, by ``[:, 0]``,
    ``squeeze`` or ``argmax``, labels of classes have their shape by accident.
    """
    logits, labels = crash.tensor("input"), crash.tensor("target")
    if logits is None or labels is None:
        return Sign("")
    told = f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)} of {labels.dtype}"
    if logits.dim() > 1:
        return Sign(told)
    return Sign(
        f"{told}: the logits have no axis for the classes",
        fix="- cross_entropy(logits.squeeze(), y)\n+ cross_entropy(logits, y)\nor, for one logit "
        "and two classes,\n+ binary_cross_entropy_with_logits(logits, y.float())",
    )


@explains(
    r"weight tensor should be defined either for all (\d+) classes .* of shape: \[(\d+)\]",
    title="there is not one weight for each class",
    fix="- CrossEntropyLoss(weight=torch.ones(k))\n+ CrossEntropyLoss(weight=torch.ones(classes))",
)
def class_weights_of_another_number(crash: Crash) -> Sign | None:
    """Find weights of classes that are more or fewer than the classes.

    The weight of a class stands at the class's place: as many weights as outputs.
    """
    return Sign(f"{crash.found[1]} outputs, {crash.found[2]} weights")


@explains(
    SIZES,
    r"Expected target size \[([\d, ]+)\], got \[([\d, ]*)\]",
    r"size mismatch \(got input: \[([\d, ]+)\] , target: \[([\d, ]+)\]",
    r"Using a target size \(torch\.Size\(\[(.*)\]\)\) that is different to the input size "
    r"\(torch\.Size\(\[(.*)\]\)\)",
    r"Target size \(torch\.Size\(\[(.*)\]\)\) must be the same as input size "
    r"\(torch\.Size\(\[(.*)\]\)\)",
    r"The size of tensor a \(\d+\) must match the size of tensor b \(\d+\)",
    title="predictions and targets have different shapes",
    fix="- loss = loss_fn(model(x), y)\n+ loss = loss_fn(model(x).squeeze(1), y)",
)
def targets_of_another_shape(crash: Crash) -> Sign | None:
    """Find targets whose shape is not that of the predictions.

    Each prediction has one target. A network with one output gives a column (n, 1), and targets
    from a table are a row (n,); rows and labels may also come from different parts of the data.
    """
    z, y = crash.tensor("input"), crash.tensor("target")
    if z is None or y is None:
        return None if "tensor b" in crash.message else Sign("")
    told = f"predictions {tuple(z.shape)}, targets {tuple(y.shape)}"
    if tuple(z.shape) == (*y.shape, 1):
        fix = "- loss = loss_fn(model(x), y)\n+ loss = loss_fn(model(x).squeeze(-1), y)"
        return Sign(told, fix=fix)
    if tuple(y.shape) == (*z.shape, 1):
        return Sign(told, fix="- loss = loss_fn(z, y)\n+ loss = loss_fn(z, y.squeeze(-1))")
    return Sign(told, fix="+ print(model(x).shape, y.shape)")


@explains(
    PROBABILITIES,
    r"Expected parameter \w+ \(.*\) of distribution .* to satisfy the constraint [\s\S]*\bnan\b",
    r"probability tensor contains either `inf`, `nan` or element < 0",
    title="NaN reached the loss",
    fix="+ torch.autograd.set_detect_anomaly(True)\nsee where it arises: in the inputs, by a rate "
    "that is too high, in a logarithm or root of 0",
    after=NOT_FINITE,
)
def nan_reached_the_loss(crash: Crash) -> Sign | None:
    """Find predictions that are no numbers any more.

    NaN in one input or weight spreads to all outputs. The exception is only where it was noticed.
    """
    if "nan" in crash.message:
        return Sign("")
    given = crash.tensor("input")
    if given is None or not bool(given.isnan().any()):
        return None
    share = given.isnan().float().mean().item()
    steps = crash.record.counts["step"]
    told = f"{share:.0%} of the predictions are NaN, after {steps} steps"
    known = crash.record.parameters.values()
    lost = [facts.name for facts in known if not bool((facts.parameter.abs() < HUGE).all())]
    if not lost or not crash.record.steps:
        return Sign(told)
    rate = crash.record.steps[-1].rate
    told += f" at a rate of {rate:g}; {', '.join(lost[:3])} hold numbers beyond {HUGE:g}, or NaN"
    return Sign(told, fix=f"- lr={rate:g}\n+ lr={rate / 10:g}")


@explains(
    PROBABILITIES,
    r"Assertion `input_val >= zero && input_val <= one` failed",
    r"binary_cross_entropy and torch\.nn\.BCELoss are unsafe to autocast",
    title="a loss on probabilities (BCELoss) is given logits: the sigmoid is missing",
    fix="- loss_fn = nn.BCELoss()\n+ loss_fn = nn.BCEWithLogitsLoss()",
    born="binary_loss_on_logits",
)
def binary_loss_on_logits(crash: Crash) -> Sign | None:
    """Find a loss on probabilities that is given other numbers.

    ``BCELoss`` takes the logarithm of its input and of one minus that, so that both must be
    probabilities. ``BCEWithLogitsLoss`` takes any number, and applies the sigmoid itself.
    """
    span = span_of(crash.tensor("input"))
    if span is None:
        return Sign("")
    return Sign(f"the predictions run from {span[0]:.3g} to {span[1]:.3g}")


@explains(
    r"all elements of target should be between 0 and 1",
    title="targets of a binary loss are neither 0 nor 1",
    fix="- y = labels.float()\n+ y = (labels == positive).float()",
)
def targets_outside_0_and_1(crash: Crash) -> Sign | None:
    """Find targets of a binary loss outside 0 to 1.

    They are probabilities of the one class: 0 and 1, not 1 and 2, not -1 and 1, not 0 to 255.
    """
    span = span_of(crash.tensor("target"))
    return Sign("" if span is None else f"targets run from {span[0]:.3g} to {span[1]:.3g}")


@explains(
    r"Boolean value of Tensor with more than one value is ambiguous",
    r"'(\w*Loss)' object has no attribute 'backward'",
    title="predictions and targets are given to the loss's class, not to the loss",
    fix="- loss = nn.MSELoss(model(x), y)\n+ loss = nn.MSELoss()(model(x), y)",
)
def loss_class_called_as_function(crash: Crash) -> Sign | None:
    """Find predictions and targets that are given to the class of a loss.

    ``nn.MSELoss(…)`` makes a loss and takes its settings; the loss itself is then called on
    predictions and targets.
    """
    if "Boolean" in crash.message and crash.called("legacy_get_string") is None:
        return None
    return Sign(crash.source)


@explains(
    r"grad can be implicitly created only for scalar outputs",
    title="backward is called on many numbers, not on one loss",
    fix="- loss.backward()\n+ loss.mean().backward()",
)
def loss_not_a_scalar(crash: Crash) -> Sign | None:
    """Find a loss of more than one number.

    A gradient is that of one number. Losses of each example, as ``reduction="none"`` gives them,
    must be averaged first.
    """
    frame = crash.called("backward")
    given = [] if frame is None else tree_leaves(frame.variables.get("tensors"))
    losses = [loss for loss in given if isinstance(loss, Tensor) and loss.numel() != 1]
    return Sign(f"the loss has shape {tuple(losses[0].shape)}" if losses else "")


@explains(
    r"'(float|int|float64|float32|ndarray)' object has no attribute 'backward'",
    r"'(tuple|list|dict|NoneType)' object has no attribute 'backward'",
    title="the loss is no tensor, so that it has no backward",
    fix="- loss = loss_fn(model(x), y).item()\n+ loss = loss_fn(model(x), y)",
)
def loss_is_no_tensor(crash: Crash) -> Sign | None:
    """Find ``backward`` called on what is no tensor.

    ``item`` and NumPy give numbers, which know nothing of the network that made them; a function
    without ``return`` gives None, and one that returns two things gives a tuple.
    """
    if crash.found[1] == "tuple":
        return Sign("the loss is a tuple", fix="- loss = loss_of(x)\n+ loss, other = loss_of(x)")
    if crash.found[1] == "NoneType":
        return Sign("the loss is None", fix="  def loss_of(x, y):\n-     …\n+     return …")
    return Sign(f"the loss is of type {crash.found[1]}")


def _reshaped(tensor: Tensor | None) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the changes of shape on the way to a tensor: before and after."""
    waiting: list[Any] = [] if tensor is None else [tensor.grad_fn]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or len(seen) > MOST:
            continue
        seen.add(node)
        if node.name().rpartition("::")[2].startswith(("View", "UnsafeView", "ReshapeAlias")):
            yield list(node._saved_self_sym_sizes), list(node._input_metadata[0].shape)
        waiting += [earlier for earlier, _ in node.next_functions]
