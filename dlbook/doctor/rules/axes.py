"""Rules about axes that are taken for other ones: examples for time steps, rows for columns."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dlbook.doctor.experiments import Cure, Trial
from dlbook.doctor.probing import (
    batches_at,
    examples_of,
    inputs_at,
    moved,
    play_evaluating,
    playable,
)
from dlbook.doctor.races import race, well_learned
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.tape import Tape
from dlbook.doctor.traces import Call, Trace, traces_of

__all__ = ["reshape_for_transpose", "samples_mixed_across_the_batch"]

RECURRENT = ("gru", "lstm", "rnn_relu", "rnn_tanh")
ORDERED = ("multi_head_attention_forward", "scaled_dot_product_attention")
RESHAPES = ("reshape", "view", "unflatten")


@rule(
    severity="error",
    title="axes are swapped by reshape, which mixes up the numbers: transpose was meant",
    fix="- x = x.reshape(n, channels, length)\n+ x = x.transpose(1, 2)",
    born="reshape_for_transpose",
    causes=(
        *("samples-mixed-across-the-batch", "rate-too-low", "rate-too-high", "overfitting"),
        *("labels-unrelated-to-inputs", "too-little-capacity", "stopped-while-falling"),
        "vanishing-gradients",
    ),
)
def reshape_for_transpose(record: Record) -> Sign | None:
    """Find a reshape to the shape that swapped axes would have.

    ``reshape`` keeps the order of the numbers in memory and only cuts them into other rows. What
    was one channel is then spread over all of them.
    """
    if well_learned(record):
        return None
    for trace in traces_of(record)[:1]:
        for call in trace.calls:
            order = _order_meant(call)
            if order is not None:
                return _swapped(record, call, order)
    return _swapped_before(record)


def _order_meant(call: Call) -> tuple[int, ...] | None:
    """Return the order of axes that would give the shape which a reshape gave, if there is one."""
    if call.name not in RESHAPES or not call.tensors:
        return None
    before, after = call.tensors[0], call.results[0]
    if not before.is_floating_point() or not before.is_contiguous():
        return None
    return _order(tuple(before.shape), tuple(after.shape))


def _order(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the order of axes that makes one shape of another, where reshape mixes numbers up."""
    wide = [n for n in before if n > 1]
    if len(before) != len(after) or not 3 <= len(before) <= 5 or sorted(before) != sorted(after):
        return None
    if wide == [n for n in after if n > 1]:
        return None  # only axes of length 1 have moved
    orders = permutations(range(len(before)))
    return next((o for o in orders if tuple(before[axis] for axis in o) == after), None)


def _swapped(record: Record, call: Call, order: tuple[int, ...]) -> Sign | None:
    before, after = tuple(call.tensors[0].shape), tuple(call.results[0].shape)
    evidence = f"{call.name} makes {after} of {before}, which is the shape of swapped axes"

    def cure(trial: Trial) -> None:
        def loss(tape: Tape) -> Tensor:
            with _Permuting(order):
                return Trial.loss(trial, tape)

        trial.loss = loss  # type: ignore[method-assign]

    found = race(record, "with axes swapped", cure)
    if found is None or not found.wins:
        return None  # the shapes may agree by chance
    evidence += f"; {found.told('with the axes swapped')}"
    places = ", ".join(map(str, order))
    fix = f"- x.{call.name}{after}\n+ x.permute({places})"
    return Sign(evidence, call.module or call.where, fix)


def _swapped_before(record: Record) -> Sign | None:
    """Find inputs that are learned far better as what they were before a reshape."""
    for tape in playable(record, most=1):
        for place, slot in enumerate(inputs_at(tape)):
            shape = tuple(tape.given[slot].shape)
            if not tape.given[slot].is_floating_point():
                continue
            for order in _orders_of(shape):
                found = race(record, f"input {place} put back {order}", _put_back(place, order))
                if found is None or not found.wins:
                    continue
                is_now = ", ".join(map(str, shape[1:]))
                was = ", ".join(str(shape[axis]) for axis in order)
                evidence = (
                    f"inputs have the shape (n, {is_now}); reshaped back to (n, {was}), with their "
                    f"axes then swapped instead, {found.told('on these')}"
                )
                return Sign(evidence, tape.networks[0].where)
    return None


def _orders_of(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the orders in which the axes behind the first may have stood before."""
    if len(shape) == 3 and shape[1] != shape[2] and min(shape) > 1:
        return [(2, 1)]
    if len(shape) == 4 and shape[1] > 1:
        return [(2, 3, 1)]
    return []


def _put_back(place: int, order: tuple[int, ...]) -> Cure:
    """Make what swapping axes would have given of what a reshape gave."""

    def cure(trial: Trial) -> None:
        trial.tapes = [_with_input(tape, place, order) for tape in trial.tapes]

    return cure


def _with_input(tape: Tape, place: int, order: tuple[int, ...]) -> Tape:
    slots = inputs_at(tape)
    x = tape.given[slots[place]] if place < len(slots) else torch.empty(0)
    if x.dim() != len(order) + 1:
        return tape
    was = x.reshape(len(x), *(x.shape[axis] for axis in order))
    back = sorted(range(len(order)), key=order.__getitem__)
    swapped = was.permute(0, *(axis + 1 for axis in back)).contiguous()
    return tape.with_given({**tape.given, slots[place]: swapped})


class _Permuting(TorchFunctionMode):
    """Swaps axes where a network reshapes to the shape that swapped axes would have."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = order

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, or swap axes."""
        result = func(*args, **(kwargs or {}))
        reshapes = getattr(func, "__name__", "") in RESHAPES
        if reshapes and _order(tuple(args[0].shape), tuple(result.shape)) == self.order:
            return args[0].permute(self.order).contiguous()
        return result


@rule(
    severity="error",
    title="examples of a batch are mixed: what the network says of one depends on the others",
    fix="- lstm = nn.LSTM(8, 24)\n+ lstm = nn.LSTM(8, 24, batch_first=True)",
    born="batch_first_forgotten",
    causes=(
        *("rate-too-low", "rate-too-high", "too-little-capacity", "stopped-while-falling"),
        *("labels-unrelated-to-inputs", "overfitting", "padding-read-as-data"),
        *("vanishing-gradients", "positions-left-out", "exploding-gradients"),
    ),
)
def samples_mixed_across_the_batch(record: Record) -> Sign | None:
    """Find answers to one example that change when another one of its batch is exchanged.

    Examples have nothing to do with each other. A layer that takes the axis of the examples for
    one of time, or computes over it, makes each answer depend on its company, and the answer to an
    example alone is another one.
    """
    for tape in playable(record, most=1):
        base = play_evaluating(record, tape)
        n = examples_of(base) if base is not None else 0
        if base is None or n < 2:
            return None
        for slot in inputs_at(tape):
            x = tape.given[slot]
            if x.dim() < 2 or len(x) != n or not _is_company(record, tape, slot):
                continue
            call = _first_that_mixes(record, tape, base, slot)
            if call is not None:
                return _mixed(call, n)
    return None


def _first_that_mixes(record: Record, tape: Tape, base: Trace, slot: int) -> Call | None:
    """Return the first call that lets another example into an answer, if the answers are mixed."""
    x, last = tape.given[slot], tape.networks[-1].results
    other = _other(x, 0)
    if other is None or not last or _clean_axis(record, tape, base, slot):
        return None
    trace = play_evaluating(record, tape, {slot: other})
    if trace is None or not _spreads(base.values[last[0]], trace.values[last[0]], len(x)):
        return None
    for before, after in zip(base.calls, trace.calls, strict=False):
        pairs = zip(before.results, after.results, strict=False)
        if any(_spreads(b, a, len(x)) for b, a in pairs):
            return before
    return None


def _spreads(before: Tensor, after: Tensor, n: int, index: int = 0) -> bool:
    """Tell whether rows other than the one that was exchanged have moved.

    In a matrix of all pairs of examples the column of that one may.
    """
    if before.shape != after.shape or not before.dim() or len(before) != n:
        return False
    if not before.is_floating_point() or not bool(before.isfinite().all()):
        return False
    if before.shape == (n, n):
        before, after = (t[:, torch.arange(n) != index] for t in (before, after))
    rows = moved(before, after)
    rows[index] = False
    return bool(rows.any())


def _clean_axis(record: Record, tape: Tape, base: Trace, slot: int) -> bool:
    """Tell whether another axis of as many entries is that of the examples, unmixed."""
    x, output = tape.given[slot], base.values[tape.networks[-1].results[0]]
    for axis in range(1, x.dim()):
        if x.shape[axis] != len(x):
            continue
        other = _other(x, axis)
        trace = play_evaluating(record, tape, {slot: other}) if other is not None else None
        if trace is None:
            continue
        after = trace.values[tape.networks[-1].results[0]]
        axes = [a for a in range(output.dim()) if output.shape[a] == len(x)]
        if any(not bool(moved(output, after, a)[1:].any()) for a in axes):
            return True
    return False


def _other(x: Tensor, axis: int) -> Tensor | None:
    """Put another entry in place of the first one along an axis."""
    parts = x.movedim(axis, 0).clone()
    different = (parts != parts[:1]).flatten(1).any(1).nonzero().flatten()
    if not len(different):
        return None
    parts[0] = parts[different[-1]]
    return parts.movedim(0, axis)


def _is_company(record: Record, tape: Tape, slot: int) -> bool:
    """Tell whether the rows of a batch are examples by themselves, and not one sequence or graph.

    They are where a loader draws them one by one, where the same row comes again beside others, or
    where the network is asked for one alone.
    """
    x, place = tape.given[slot], inputs_at(tape).index(slot)
    loaders = record.around.loaders.values()
    if any(loader.shuffles and loader.batch_size == len(x) > 1 for loader in loaders):
        return True
    asked = {t.shapes[s] for t in record.evaluations for entry in t.networks for s in entry.refs}
    if (1, *x.shape[1:]) in asked and _in_any_order(record, tape, slot):
        return True
    followers: dict[bytes, set[bytes]] = {}
    again = 0
    for keys in batches_at(record, place):
        for key, following in pairwise(keys):
            again += key in followers
            followers.setdefault(key, set()).add(following)
    elsewhere = sum(len(following) > 1 for following in followers.values())
    return again > 0 and elsewhere > 0.3 * min(again, len(followers))


def _in_any_order(record: Record, tape: Tape, slot: int) -> bool:
    """Tell whether examples in another order get the same answers in that order."""
    x = tape.given[slot]
    order = torch.arange(len(x)).flip(0)
    traces = [play_evaluating(record, tape, {slot: rows}) for rows in (x, x[order])]
    last = tape.networks[-1].results
    before, after = (t.values[last[0]] if t is not None and last else None for t in traces)
    if before is None or after is None or before.shape != after.shape or len(before) != len(x):
        return False
    return not bool(moved(before[order], after).any())


def _mixed(call: Call, n: int) -> Sign:
    what = f"{call.name} in {call.module}" if call.module else call.name
    evidence = (
        f"in evaluation mode, exchanging the first of {n} examples for another changes the answers "
        f"to others; {what} is the first that lets it in"
    )
    place = call.module or call.where
    if call.name in RECURRENT or call.name in ORDERED:
        title = "batch_first is forgotten: examples are taken for time steps, and mixed"
        return Sign(evidence, place, title=title)
    if call.name in ("softmax", "log_softmax"):
        return Sign(evidence, place, "- x.softmax(dim=0)\n+ x.softmax(dim=1)")
    fix = f"- {call.name} over axis 0, that of the examples\n+ {call.name} over the features"
    return Sign(evidence, place, fix)
