"""The numbers that a loss is the sum of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from dlbook.doctor.tape import Entry, Ref, Tape
from dlbook.doctor.traces import Trace

__all__ = ["Term", "terms_of", "weighed"]

ADDING = ("add", "add_", "__add__", "__radd__", "__iadd__")
SUBTRACTING = ("sub", "subtract", "__sub__", "__isub__")
REVERSED = ("rsub", "__rsub__")
SCALING = (*ADDING, *SUBTRACTING, "mul", "div", "true_divide", "__mul__", "__rmul__", "__truediv__")


class Term(NamedTuple):
    """A number that a loss is made of: its place on the tape, and whether it is added (1) or not.

    What it is multiplied by is part of it.
    """

    slot: int
    sign: float


def terms_of(trace: Trace) -> list[Term]:
    """Return the terms of a loss.

    Parameters
    ----------
    trace : Trace
        The pass that made it.

    Returns
    -------
    list of Term
        The loss itself where it is no sum; none where a term has no place on the tape.
    """
    slots = {id(tensor): slot for slot, tensor in trace.values.items()}

    def parts(tensor: Tensor, sign: float) -> list[tuple[Tensor, float]]:
        call = trace.maker(tensor)
        below = [t for t in call.tensors if t.requires_grad and t.numel() == 1] if call else []
        if call is None or not below:
            return [(tensor, sign)]
        if len(below) == 2 and call.name in (*ADDING, *SUBTRACTING, *REVERSED):
            first, second = below
            return [
                *parts(first, -sign if call.name in REVERSED else sign),
                *parts(second, -sign if call.name in SUBTRACTING else sign),
            ]
        turns = call.name in ("neg", "negative", "__neg__", *REVERSED)
        if len(below) == 1 and (turns or call.name in SCALING):
            within = parts(below[0], -sign if turns else sign)
            return within if len(within) > 1 else [(tensor, sign)]
        return [(tensor, sign)]

    found = [Term(slots.get(id(part), -1), sign) for part, sign in parts(trace.loss, 1.0)]
    return found if all(term.slot >= 0 for term in found) else []


def weighed(tape: Tape, terms: Sequence[Term], weights: Sequence[float]) -> Tape:
    """Make a weighted sum of the terms the loss of a tape.

    Parameters
    ----------
    tape : Tape
        The pass.
    terms : sequence of Term
        Those of its loss.
    weights : sequence of float
        What each counts, beside its sign.

    Returns
    -------
    Tape
        The same pass to another loss.
    """
    signed = [weight * term.sign for weight, term in zip(weights, terms, strict=True)]

    def total(*values: Tensor) -> Tensor:
        return torch.stack([w * v.sum() for w, v in zip(signed, values, strict=True)]).sum()

    loss = max(tape.shapes) + 1
    entry = Entry("sum", total, tuple(Ref(term.slot) for term in terms), {}, [loss], "")
    return replace(tape, entries=[*tape.entries, entry], loss=loss)
