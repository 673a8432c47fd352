"""Rules about the data themselves: what no network could learn from, or learns too easily."""

from __future__ import annotations

import torch
from torch import Tensor

from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.samples import Samples, first_line, inputs_of, samples_of, targets_of
from dlbook.doctor.tape import Tape

__all__ = [
    "data_changed_in_place",
    "inputs_constant",
    "inputs_not_finite",
    "labels_constant",
    "row_number_among_inputs",
    "target_among_inputs",
    "targets_are_the_inputs",
    "targets_not_finite",
]

PARTS = 4  # of one tensor: what has fewer is a buffer that is filled anew
MANY = 20  # rows from which on a coincidence is none


@rule(
    severity="error",
    title="there are nan or infinite values among the inputs",
    fix="+ X = torch.nan_to_num(X, nan=0.0)  # or leave these rows out",
    born="nan_in_inputs",
    causes=("loss-not-finite", "nan-gradient", "rate-too-high", "exploding-gradients"),
)
def inputs_not_finite(record: Record) -> Sign | None:
    """Find inputs that are not finite.

    One nan among the inputs makes the loss nan, the gradients nan, and with the next step all
    parameters nan.
    """
    tapes = record.tapes or record.evaluations  # where nothing came of the first pass
    return _not_finite([x for tape in tapes for x in inputs_of(tape)], "inputs")


@rule(
    severity="error",
    title="there are nan or infinite values among the targets",
    fix="+ known = y.isfinite()\n- loss = criterion(model(X), y)\n"
    "+ loss = criterion(model(X[known]), y[known])",
    born="nan_in_inputs",
    causes=("loss-not-finite", "nan-gradient", "rate-too-high", "exploding-gradients"),
)
def targets_not_finite(record: Record) -> Sign | None:
    """Find targets that are not finite.

    A target that is nan makes the loss nan, and with the next step all parameters.
    """
    masked = any("nan" in e.name or "isfinite" in e.name for t in record.tapes for e in t.entries)
    if masked or all(value == value for value in record.losses):
        return None
    return _not_finite([y for tape in record.tapes for y in targets_of(tape)], "targets")


@rule(
    severity="error",
    title="all inputs are the same",
    fix="print(X[:3], X.std(0)) where the inputs are made; X[rows][...] = ... fills a copy",
    born="buffer_filled_through_a_copy",
    causes=("labels-unrelated-to-inputs",),
)
def inputs_constant(record: Record) -> Sign | None:
    """Find inputs that are all the same.

    Where all inputs are the same, all outputs are, and the best that a network can learn is the
    mean of the targets.
    """
    samples = samples_of(record)
    if samples is None or len(samples.X) < MANY or not samples.Y.numel():
        return None
    if not bool((samples.X[0] == samples.X).all()) or bool((samples.Y[0] == samples.Y).all()):
        return None
    value = torch.unique(samples.X[0])
    told = f", each number {value[0]:g}" if len(value) == 1 else ""
    return Sign(f"{len(samples.X)} inputs that are all equal{told}", first_line(record.tapes))


@rule(
    severity="error",
    title="all labels are the same",
    fix="print(y.unique(return_counts=True)) where the labels are made",
    born="constant_labels",
)
def labels_constant(record: Record) -> Sign | None:
    """Find labels that are all the same.

    A network that always gives the one answer is always right: it learns to look at nothing.
    """
    names = ("cross_entropy", "nll_loss", "binary_cross_entropy")
    classifies = any(e.name.startswith(names) for t in record.tapes for e in t.entries)
    samples = samples_of(record)
    if samples is None or not classifies or not _all_seen(record, samples):
        return None
    one_only = len(record.optimizers) == 1 and all(len(targets_of(t)) == 1 for t in record.tapes)
    if not one_only or len(samples.Y) < MANY or not bool((samples.Y[0] == samples.Y).all()):
        return None
    return Sign(f"{len(samples.Y)} labels, all {samples.Y[0, 0]:g}", first_line(record.tapes))


@rule(
    severity="error",
    title="the target is among the inputs",
    fix="- X = table\n+ X = table[:, other_columns]  # without the target",
    born="target_among_inputs",
)
def target_among_inputs(record: Record) -> Sign | None:
    """Find a column of the inputs that is the target.

    The network copies the column and looks at nothing else: what it scores says nothing about
    use, where the target is what is not known yet.
    """
    samples = samples_of(record)
    if samples is None or not samples.table or samples.Y.shape == samples.X.shape:
        return None
    if len(samples.X) < MANY or not 2 <= samples.X.shape[1] <= 10_000:
        return None
    for number in range(min(samples.Y.shape[1], 100)):
        target = samples.Y[:, number]
        if len(torch.unique(target)) < 2:
            continue
        same = (target[:, None] == samples.X).all(0) | _names_the_class(samples, target)
        if bool(same.any()):
            column = int(same.nonzero()[0, 0])
            evidence = f"column {column} of the inputs is the target, in all {len(target)} rows"
            return Sign(evidence, first_line(record.tapes))
    return None


@rule(
    severity="error",
    title="the targets are the inputs, not shifted by one",
    fix="- loss = cross_entropy(model(tokens).mT, tokens)\n"
    "+ loss = cross_entropy(model(tokens[:, :-1]).mT, tokens[:, 1:])",
    born="next_token_not_shifted",
)
def targets_are_the_inputs(record: Record) -> Sign | None:
    """Find a model of sequences that is asked for what it has just been given.

    Each token stands in the inputs at the very place where it is asked for: the network learns to
    copy, the loss falls to nothing, and what comes next is never learned.
    """
    for tape in record.tapes:
        tokens = [x for x in inputs_of(tape) if not x.is_floating_point() and x.dim() == 2]
        if not tokens or tokens[0].shape[1] < 3 or not _asked_for(tape, tokens[0]):
            return None
    if not record.tapes:
        return None
    evidence = f"in {len(record.tapes)} passes each target was the token at its own place"
    return Sign(evidence, first_line(record.tapes))


@rule(
    severity="error",
    title="the number of the row is among the inputs",
    fix="- X = table\n+ X = table[:, 1:]  # without the column that counts the rows",
    born="row_number_among_inputs",
)
def row_number_among_inputs(record: Record) -> Sign | None:
    """Find a column that counts the rows of data that are in order of their labels.

    Where a file was written class by class, the number of the row tells the class. New examples
    have no such number.
    """
    samples = samples_of(record)
    if samples is None or samples.labels is None or samples.X.shape[1] < 2:
        return None
    rows, first = _distinct(torch.cat([samples.X, samples.Y], 1))
    labels = samples.labels[first]
    if len(rows) < 3 * MANY or len(torch.unique(labels)) < 2:
        return None
    for number in range(min(samples.X.shape[1], 200)):
        column = rows[:, number]
        order = column.argsort()
        steps = column[order].diff()
        counts = bool((steps > 0).all()) and _multiples(steps)
        if counts and int((labels[order].diff() != 0).sum()) == len(torch.unique(labels)) - 1:
            evidence = f"column {number} counts up in equal steps, and the labels are in its order"
            return Sign(evidence, first_line(record.tapes))
    return None


@rule(
    severity="error",
    title="the data are changed in place",
    fix="- X += noise\n+ X = X + noise",
    born="batch_changed_in_place",
)
def data_changed_in_place(record: Record) -> Sign | None:
    """Find examples that are other ones each time they come.

    A batch cut out of the data shares their memory. What is added to it in place stays there, and
    the next epoch adds to what is left.
    """
    changed = record.habits.changed
    if len(changed) < 3 or record.habits.unchanged > len(changed) or record.habits.parts < PARTS:
        return None
    evidence = f"{len(changed)} batches had other values when the same memory was read again"
    return Sign(evidence, changed[0])


def _not_finite(tensors: list[Tensor], what: str) -> Sign | None:
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    bad = sum(int((~tensor.isfinite()).sum()) for tensor in floating)
    if not bad:
        return None
    total = sum(tensor.numel() for tensor in floating)
    return Sign(f"{bad} of the first {total} numbers among the {what} are not finite")


def _names_the_class(samples: Samples, target: Tensor) -> Tensor:
    """Tell which columns hold one value for each class: the label, shifted and scaled."""
    least, most = samples.X.amin(0), samples.X.amax(0)
    classes = torch.unique(target)
    if not samples.whole or len(classes) != 2 or len(target) < 5 * MANY:
        return torch.zeros(samples.X.shape[1], dtype=torch.bool)
    upper = (target == classes[1])[:, None]
    tells = (torch.where(upper, most, least) == samples.X) & (least < most)
    tells_less = (torch.where(upper, least, most) == samples.X) & (least < most)
    return tells.all(0) | tells_less.all(0)


def _asked_for(tape: Tape, tokens: Tensor) -> bool:
    """Tell whether a loss compares an output for each token with the token itself."""
    outputs = {tape.shapes[slot][:2] for entry in tape.networks for slot in entry.results}
    targets = [
        slot
        for entry in tape.entries
        if entry.name.startswith(("cross_entropy", "nll_loss"))
        for slot in entry.refs
        if slot in tape.given
    ]
    return tuple(tokens.shape) in outputs and any(
        tape.given[slot].numel() == tokens.numel()
        and bool((tape.given[slot].flatten() == tokens.flatten()).all())
        for slot in targets
    )


def _multiples(steps: Tensor) -> bool:
    """Tell whether all steps are multiples of the smallest one, as where rows were left out."""
    share = steps / steps.min()
    return bool(((share - share.round()).abs() < 0.02 * share).all()) and float(share.max()) < 50


def _distinct(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row once, with the place where it first stands."""
    distinct, where = torch.unique(rows, dim=0, return_inverse=True)
    first = torch.full((len(distinct),), len(rows))
    first = first.scatter_reduce(0, where, torch.arange(len(rows)), "amin")
    return rows[first], first


def _all_seen(record: Record, samples: Samples) -> bool:
    """Tell whether the passes that were kept hold every example: some have come again."""
    return len(record.losses) <= len(record.tapes) + 1 or len(_distinct(samples.X)[0]) < 0.9 * len(
        samples.X
    )
