"""Rules about how data are scaled, coded and ordered, each confirmed by training otherwise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dlbook.doctor.experiments import Trial, compare
from dlbook.doctor.outcomes import outcome_of
from dlbook.doctor.races import race, well_learned
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.samples import first_line, samples_of
from dlbook.doctor.tape import Tape

__all__ = [
    "batches_of_one_class",
    "categories_as_numbers",
    "inputs_unscaled",
    "inputs_wrapped_around",
    "targets_unscaled",
]

APART = 10.0  # times as large: columns, or a mean and its spread, that are not of one size
QUARTERS = torch.tensor([0.25, 0.5, 0.75])
BYTES = 256
PURE = 0.9  # share of a batch that is of one class


@rule(
    severity="warning",
    title="the inputs are not scaled",
    fix="+ mean, std = X_train.mean(0), X_train.std(0)\n- model(X)\n+ model((X - mean) / std)",
    born="unscaled_inputs",
    causes=("rate-too-high", "rate-too-low", "dead-units", "exploding-gradients"),
)
def inputs_unscaled(record: Record) -> Sign | None:
    """Find inputs whose size keeps the network from learning.

    Gradients of the first layer are as large as the inputs. Columns of very different sizes, or
    far from zero, need rates of very different sizes: no one rate suits them all.
    """
    samples = samples_of(record)
    if samples is None or well_learned(record) or len(samples.X) < 8:
        return None
    if not bool(samples.X.isfinite().all()):
        return None
    mean, std = samples.X.mean(0), samples.X.std(0)
    used = std > 0
    if not bool(used.any()):
        return None
    largest = torch.maximum(mean.abs(), std)[used]
    if float(largest.max()) < APART and float(largest.max() / largest.median()) < APART:
        return None

    def standardized(trial: Trial) -> None:
        safe = torch.where(used, std, 1.0)
        trial.tapes = [_with_inputs(tape, lambda x: _scaled(x, mean, safe)) for tape in trial.tapes]

    found = race(record, "with standardized inputs", standardized)
    if found is None or not found.wins:
        return None
    evidence = (
        f"the columns' sizes lie between {float(largest.min()):.3g} and {float(largest.max()):.3g};"
        f" {found.told('with standardized inputs')}"
    )
    return Sign(evidence, first_line(record.tapes))


@rule(
    severity="warning",
    title="the inputs have wrapped around: bytes were subtracted as bytes",
    fix="- difference = frame - background  # uint8: 3 - 5 is 254\n"
    "+ difference = frame.astype(np.int16) - background",
    born="bytes_that_wrap_around",
    causes=("inputs-unscaled", "rate-too-low", "rate-too-high", "too-little-capacity"),
)
def inputs_wrapped_around(record: Record) -> Sign | None:
    """Find differences of bytes that went below zero and came out at the top.

    A byte holds 0 to 255, and counts on from the other end: 3 less 5 is 254. What is a little
    below the background looks as bright as can be.
    """
    samples = samples_of(record)
    if samples is None or well_learned(record) or not bool(samples.X.isfinite().all()):
        return None
    values = torch.unique(samples.X)
    if not 64 < len(values) <= BYTES or not _evenly(values):
        return None
    step = values.diff().min()
    level = ((samples.X - values[0]) / step).round()
    third = float(((level >= BYTES / 2) & (level < 3 * BYTES / 4)).double().mean())
    top = float((level >= 3 * BYTES / 4).double().mean())
    if float(level.max()) < 250 or top < 2 * third:
        return None

    def unwrapped(trial: Trial) -> None:
        low, whole = values[0] + 128 * step, BYTES * step
        trial.tapes = [
            _with_inputs(tape, lambda x: torch.where(x > low, x - whole, x)) for tape in trial.tapes
        ]

    found = race(record, "unwrapped", unwrapped)
    if found is None or not found.wins:
        return None
    evidence = (
        f"{top:.0%} of the inputs are in the top quarter of 256 levels, {third:.0%} in that below; "
        f"{found.told('with 256 levels taken from them')}"
    )
    return Sign(evidence, first_line(record.tapes))


@rule(
    severity="warning",
    title="the targets are not scaled",
    fix="+ mean, std = y_train.mean(), y_train.std()\n- loss = mse_loss(model(X), y)\n"
    "+ loss = mse_loss(model(X), (y - mean) / std)  # and model(X) * std + mean when it is used",
    born="unscaled_targets",
    causes=("rate-too-low", "rate-too-high", "exploding-gradients", "stopped-while-falling"),
)
def targets_unscaled(record: Record) -> Sign | None:
    """Find targets whose size keeps the network from learning.

    A network's outputs begin near zero and move by about the rate in each step. Targets in the
    hundreds are hundreds of steps away, or their errors make gradients far too large.
    """
    samples = samples_of(record)
    if samples is None or well_learned(record) or not samples.Y.numel():
        return None
    if samples.labels is not None and len(torch.unique(samples.labels)) <= len(samples.Y) / 10:
        return None
    mean, std = samples.Y.mean().float(), samples.Y.std().float()
    quarter, half, most = samples.Y.flatten()[:100_000].quantile(QUARTERS.to(samples.Y.dtype))
    if not bool(std > 0) or max(float(half.abs()), float(most - quarter)) < APART:
        return None  # a few that are far off do not make the scale

    def standardized(trial: Trial) -> None:
        trial.outputs = lambda _name, Z: Z * std + mean  # the loss stays in the targets' units
        trial.scale = 1 / _loss_in_units(record, float(std))

    found = race(record, "with standardized targets", standardized)
    if found is None or not found.wins:
        return None
    evidence = (
        f"targets of mean {float(mean):.3g} and standard deviation {float(std):.3g}; "
        f"{found.told('with standardized targets')}"
    )
    return Sign(evidence, first_line(record.tapes))


@rule(
    severity="warning",
    title="the batches come in order of the classes: the data are not shuffled",
    fix="- loader = DataLoader(data, batch_size=20)\n"
    "+ loader = DataLoader(data, batch_size=20, shuffle=True)",
    born="batches_in_order_of_class",
    causes=("rate-too-high",),
)
def batches_of_one_class(record: Record) -> Sign | None:
    """Find batches that hold one class each, where drawn at random they would hold many.

    Each batch pulls the network towards its own class; by the end of an epoch it has forgotten the
    first classes and answers with the last.
    """
    samples = samples_of(record)
    if samples is None or samples.labels is None or len(record.optimizers) != 1:
        return None
    labels, batches = samples.labels, samples.batches
    shares = torch.bincount(labels[labels >= 0]).double() / len(labels)
    expected = 1 / float((shares**2).sum())
    parts = [labels[batches == number] for number in torch.unique(batches).tolist()]
    pure = [_purest(part) for part in parts if len(part) >= 4]
    if expected < 1.5 or len(pure) < 4 or sum(p >= PURE for p in pure) < 0.7 * len(pure):
        return None

    def shuffled(trial: Trial) -> None:
        trial.tapes = _rows_shuffled(trial.tapes)

    found = compare(record, shuffled)
    if found is None or not found.wins:
        return None
    evidence = (
        f"{sum(p >= PURE for p in pure)} of {len(pure)} batches hold one class, of "
        f"{len(torch.unique(labels))} seen; with the same rows shuffled the loss after the same "
        f"steps is {found.repaired:.3g} instead of {found.as_is:.3g}"
    )
    return Sign(evidence, first_line(record.tapes))


@rule(
    severity="warning",
    title="categories go in as numbers, as if they measured something",
    fix="- X = categories / categories.max()\n+ X = nn.functional.one_hot(categories)",
    born="categories_read_as_numbers",
    causes=("too-little-capacity", "labels-unrelated-to-inputs", "rate-too-low"),
)
def categories_as_numbers(record: Record) -> Sign | None:
    """Find columns of codes whose order means nothing.

    Codes such as the number of a shop name things. Read as a quantity, neighbors in number must
    have neighboring answers; one input for each code (one-hot) lets each have its own.
    """
    samples = samples_of(record)
    if samples is None or not samples.Y.shape[1]:
        return None
    if samples.X.shape[1] > 200 or len(samples.X) < 100:
        return None
    outcome = outcome_of(record)
    won = 1 - outcome.last / outcome.constant if outcome.constant > 0 else 0.0
    Y = samples.Y if samples.labels is None else _one_hot(samples.labels)
    for number in range(samples.X.shape[1]):
        codes, column = torch.unique(samples.X[:, number], return_inverse=True)
        if not 5 <= len(codes) <= len(column) / 8 or not _evenly(codes):
            continue
        by_code, by_size = _explained(column, Y), max(0.0, _explained_by_size(samples.X, Y))
        if by_code > max(by_size, won) + 0.25:
            evidence = (
                f"column {number} holds {len(codes)} codes; each code's own mean explains "
                f"{by_code:.0%} of the targets, straight lines through all columns {by_size:.0%}"
            )
            return Sign(evidence, first_line(record.tapes))
    return None


def _scaled(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    flat = (x.reshape(len(x), -1) - mean) / std
    return flat.reshape(x.shape).to(x.dtype)


def _with_inputs(tape: Tape, change: Callable[[Tensor], Tensor]) -> Tape:
    """Return a tape whose first network is given other inputs."""
    slots = [slot for slot in tape.networks[0].refs if slot in tape.given][:1]
    return _changed(tape, slots, change)


def _changed(tape: Tape, slots: list[int], change: Callable[[Tensor], Tensor]) -> Tape:
    given = dict(tape.given)
    for slot in slots:
        if given[slot].is_floating_point():
            given[slot] = change(given[slot]).to(given[slot].dtype)
    return tape.with_given(given)


def _loss_in_units(record: Record, std: float) -> float:
    """Say by how much a loss is larger if errors are: by the square, or by as much."""
    names = {entry.name for tape in record.tapes[:1] for entry in tape.entries}
    return std if names & {"l1_loss", "abs", "smooth_l1_loss", "huber_loss"} else std**2


def _purest(labels: Tensor) -> float:
    """Return the share of the most frequent class."""
    return float(torch.bincount(labels.clamp(min=0)).max() / len(labels))


def _rows_shuffled(tapes: list[Tape]) -> list[Tape]:
    """Deal the rows of all passes out anew; each pass keeps its number of rows."""
    if not tapes:
        return tapes
    slots = [
        slot
        for slot, tensor in tapes[0].given.items()
        if tensor.dim() and len(tensor) == _n(tapes[0])
    ]
    same = [
        t for t in tapes if set(slots) <= t.given.keys() and len(t.given) == len(tapes[0].given)
    ]
    joined = {slot: torch.cat([t.given[slot] for t in same]) for slot in slots}
    lengths = [_n(tape) for tape in same]
    order = torch.randperm(sum(lengths), generator=torch.Generator().manual_seed(0))
    dealt = []
    for tape, rows in zip(same, torch.split(order, lengths), strict=True):
        dealt.append(tape.with_given(tape.given | {slot: joined[slot][rows] for slot in slots}))
    return dealt


def _n(tape: Tape) -> int:
    slot = next(slot for slot in tape.networks[0].refs if slot in tape.given)
    return len(tape.given[slot])


def _one_hot(labels: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(labels.clamp(min=0)).double()


def _evenly(codes: Tensor) -> bool:
    """Tell whether values lie on a grid, as codes do, also when divided by their largest."""
    steps = codes.diff() / codes.diff().min()
    return bool(((steps - steps.round()).abs() < 0.05).all())


def _explained(column: Tensor, Y: Tensor) -> float:
    """Return the share of the targets' variance that the codes explain, on rows kept aside."""
    fit = torch.arange(len(Y)) % 2 == 0
    groups = torch.zeros(int(column.max()) + 1, Y.shape[1], dtype=Y.dtype)
    counts = torch.bincount(column[fit], minlength=len(groups)).clamp(min=1)[:, None]
    means = groups.index_add(0, column[fit], Y[fit] - Y[fit].mean(0)) / counts
    left = Y[~fit] - Y[fit].mean(0)
    return 1 - float((left - means[column[~fit]]).square().sum() / left.square().sum())


def _explained_by_size(X: Tensor, Y: Tensor) -> float:
    """Return the share that a linear function of all columns explains, on rows kept aside."""
    fit = torch.arange(len(Y)) % 2 == 0
    A = torch.cat([X, torch.ones(len(X), 1, dtype=X.dtype)], 1)
    A = A / A.abs().amax(0).clamp(min=1e-12)
    solution = torch.linalg.lstsq(A[fit], Y[fit], driver="gelsd").solution
    left = Y[~fit] - Y[fit].mean(0)
    return 1 - float((Y[~fit] - A[~fit] @ solution).square().sum() / left.square().sum())
