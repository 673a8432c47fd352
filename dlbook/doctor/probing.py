"""Asking a network what an answer depends on: a pass played again with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dlbook.doctor.meetings import meetings_of
from dlbook.doctor.record import Record
from dlbook.doctor.samples import slots_of
from dlbook.doctor.tape import Tape
from dlbook.doctor.traces import Trace, copies_of, trace_of

__all__ = ["ends_of", "examples_of", "inputs_at", "moved", "play_evaluating", "playable"]

ALIKE = 0.05  # of a batch's rows: so many that are there twice are equal by nature
SLIGHT = 1e-4  # of the size of an output: a difference that rounding makes


def playable(record: Record, most: int = 2) -> list[Tape]:
    """Return the first passes that can be played again."""
    return [tape for tape in record.tapes if tape.whole and tape.networks][:most]


def play_evaluating(
    record: Record, tape: Tape, changed: Mapping[int, Tensor] | None = None, *, final: bool = False
) -> Trace | None:
    """Play a pass on fresh copies in evaluation mode.

    Parameters
    ----------
    record : Record
        What was seen.
    tape : Tape
        The pass.
    changed : mapping of int to Tensor, optional
        What stands in for tensors from elsewhere, by their place.
    final : bool, default False
        Whether to play it on the networks as they were at the end.

    Returns
    -------
    Trace or None
        None where it cannot be played, such as where shapes no longer fit.
    """
    copies = copies_of(record, final=final)
    if copies is None:
        return None
    models, parameters = copies
    for model in models.values():
        nn.Module.eval(model)
    return trace_of(tape.with_given({**tape.given, **(changed or {})}), models, parameters)


def inputs_at(tape: Tape) -> list[int]:
    """Return the places of the tensors from elsewhere that networks were given.

    Parameters
    ----------
    tape : Tape
        The pass.

    Returns
    -------
    list of int
        Each once, in order.
    """
    slots = [slot for entry in tape.networks for slot in entry.refs if slot in tape.given]
    return list(dict.fromkeys(slots))


def examples_of(trace: Trace) -> int:
    """Return how many examples the loss counts; 0 where that cannot be told.

    Parameters
    ----------
    trace : Trace
        The pass.

    Returns
    -------
    int
        The length of the targets.
    """
    for meeting in meetings_of(trace):
        if meeting.targets.dim():
            return len(meeting.targets)
    targets = [trace.tape.given[slot] for slot in slots_of(trace.tape)]
    return len(targets[0]) if targets else 0


def batches_at(record: Record, place: int = 0) -> list[list[bytes]]:
    """Return the rows of each pass's inputs, as keys by which they are known again.

    Parameters
    ----------
    record : Record
        What was seen.
    place : int, default 0
        Which of the tensors that ``inputs_at`` gives.

    Returns
    -------
    list of list of bytes
        None at all where rows of one batch are often equal by nature, as one-hot ones are: that
        one comes again says nothing then.
    """
    batches, twice, rows = [], 0, 0
    for tape in record.tapes:
        slots = inputs_at(tape)[place : place + 1]
        x = tape.given[slots[0]] if slots else torch.empty(0)
        if x.dim() < 2:
            continue
        rounded = (x.double() + 0 if x.is_floating_point() else x).contiguous()  # + 0: -0 is 0
        batches.append([row.cpu().numpy().tobytes() for row in rounded])
        rows += len(x)
        twice += len(x) - len(set(batches[-1]))
    return [] if twice > ALIKE * rows else batches


def moved(before: Tensor, after: Tensor, axis: int = 0) -> Tensor:
    """Tell which parts of a tensor differ.

    Parameters
    ----------
    before, after : Tensor
        Two tensors of one shape.
    axis : int, default 0
        The axis that is parted.

    Returns
    -------
    Tensor of shape (n,)
        True for each index along the axis where any number differs by more than rounding.

    Examples
    --------
    >>> moved(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 2.0], [3.0, 5.0]]))
    tensor([False,  True])
    """
    size = before.detach().double().abs().max().clamp(min=1e-12)
    differs = ~((before.detach() - after.detach()).double().abs() <= SLIGHT * size)
    return differs.movedim(axis, 0).flatten(1).any(1) if differs.dim() > 1 else differs


def ends_of(inputs: Tensor) -> Tensor | None:
    """Return which places of sequences only fill up: one value, at one end, and nowhere else.

    Parameters
    ----------
    inputs : Tensor of shape (n, length) or (n, length, d)
        Token ids, or numbers, of which zeros fill up.

    Returns
    -------
    Tensor of shape (n, length) or None
        True for places that only fill up; None where there are none, or where lengths do not
        differ.

    Examples
    --------
    >>> ends_of(torch.tensor([[3, 1, 2], [2, 0, 0], [4, 5, 0]])).long()
    tensor([[0, 0, 0],
            [0, 1, 1],
            [0, 0, 1]])
    """
    if inputs.dim() not in (2, 3) or inputs.shape[1] < 3 or inputs.dtype == torch.bool:
        return None
    if inputs.is_floating_point():
        same = (inputs == 0).reshape(*inputs.shape[:2], -1).all(2)
    elif inputs.dim() == 2:
        same = inputs == inputs[:, -1].mode().values
    else:
        return None
    for filled in (same, same.flip(1)):
        ends = filled.int().flip(1).cumprod(1).flip(1).bool()
        if torch.equal(ends, filled) and len(torch.unique(ends.sum(1))) > 2:
            return same
    return None
