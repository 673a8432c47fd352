"""The examples that a run was given, as far as they were seen: inputs, targets, rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dlbook.doctor.record import Record
from dlbook.doctor.tape import Entry, Tape

__all__ = ["Samples", "first_line", "inputs_of", "samples_of", "slots_of", "targets_of"]


@dataclass(frozen=True)
class Samples:
    """Examples of the first passes, one for each row.

    Parameters
    ----------
    X : Tensor of shape (n, d)
        Inputs of the first network, flattened, as floats.
    Y : Tensor of shape (n, k)
        Targets, flattened, as floats; without columns where there are none.
    whole : bool
        Whether the labels are whole numbers, as class ids are.
    batches : Tensor of shape (n,)
        The pass that each row came in.
    measured : bool
        Whether inputs are numbers that measure something, and no codes.
    table : bool
        Whether an example is a row of such numbers, and no picture or sequence.
    """

    X: Tensor
    Y: Tensor
    whole: bool
    batches: Tensor
    measured: bool
    table: bool

    @property
    def labels(self) -> Tensor | None:
        """The class ids of shape (n,), where targets are such; None elsewhere."""
        return self.Y[:, 0].long() if self.whole and self.Y.shape[1] == 1 else None


def inputs_of(tape: Tape) -> list[Tensor]:
    """Return the tensors from elsewhere that the first network of a pass was given."""
    return tape.tensors(tape.networks[0]) if tape.networks else []


def targets_of(tape: Tape) -> list[Tensor]:
    """Return the tensors from elsewhere that met what networks gave out, one row an example."""
    return [tape.given[slot] for slot in slots_of(tape)]


def slots_of(tape: Tape) -> list[int]:
    """Return the places of the targets.

    Parameters
    ----------
    tape : Tape
        One pass.

    Returns
    -------
    list of int
        Places of tensors that functions, not networks, were given, with as many rows as the
        inputs, and which no network was given too.
    """
    inputs = [slot for entry in tape.networks for slot in entry.refs if slot in tape.given]
    lengths = {tape.shapes[slot][0] for slot in inputs if tape.shapes[slot]}
    found: list[int] = []
    for entry in tape.entries:
        for slot in _given(tape, entry):
            shape = tape.shapes[slot]
            if slot not in inputs and slot not in found and shape and shape[0] in lengths:
                found.append(slot)
    return found


def first_line(tapes: list[Tape]) -> str:
    """Return the line of the reader's code that first called a network; empty if none is known."""
    return next((entry.where for tape in tapes for entry in tape.networks), "")


def samples_of(record: Record, *, evaluations: bool = False) -> Samples | None:
    """Gather the examples of the first passes.

    Parameters
    ----------
    record : Record
        What was seen.
    evaluations : bool, default False
        Take the passes without gradients instead of those that trained.

    Returns
    -------
    Samples or None
        None where there are none whose inputs have the same shape.
    """
    key = f"samples {evaluations}"
    if key not in record.cache:
        record.cache[key] = _gathered(record.evaluations if evaluations else record.tapes)
    found: Samples | None = record.cache[key]
    return found


def _gathered(tapes: list[Tape]) -> Samples | None:
    inputs: list[Tensor] = []
    targets: list[Tensor] = []
    numbers: list[Tensor] = []
    whole = measured = table = True
    for number, tape in enumerate(tapes):
        given, wanted = inputs_of(tape), targets_of(tape)
        if not given or not given[0].dim() or given[0].is_sparse or given[0].is_complex():
            continue
        x = given[0].reshape(len(given[0]), -1).double()
        y = wanted[0] if wanted and len(wanted[0]) == len(x) else torch.empty(len(x), 0)
        if inputs and (x.shape[1:] != inputs[0].shape[1:]):
            continue
        y = y.reshape(len(x), -1).double()
        if targets and y.shape[1:] != targets[0].shape[1:]:
            continue
        whole = whole and bool((y == y.round()).all())
        measured = measured and given[0].is_floating_point()
        table = table and measured and given[0].dim() == 2
        inputs.append(x)
        targets.append(y)
        numbers.append(torch.full((len(x),), number))
    if not inputs:
        return None
    return Samples(
        torch.cat(inputs), torch.cat(targets), whole, torch.cat(numbers), measured, table
    )


def _given(tape: Tape, entry: Entry) -> list[int]:
    return [] if entry.function is None else [slot for slot in entry.refs if slot in tape.given]
