"""Rules about places that only fill up sequences."""

from __future__ import annotations

import torch
from torch import Tensor

from dlbook.doctor.meetings import Meeting, meetings
from dlbook.doctor.probing import ends_of
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule

__all__ = ["padding_counted"]


@rule(
    severity="error",
    title="padding is counted in the loss",
    fix="- cross_entropy(logits, tags)\n+ cross_entropy(logits, tags, ignore_index=0)",
    born="padding_counted_in_the_loss",
    causes=("labels-constant", "rare-class-ignored"),
)
def padding_counted(record: Record) -> Sign | None:
    """Find places that only fill up sequences, and count in the loss like the others.

    To mark filling as filling is learned at once and makes up much of the mean, so that the loss
    looks small. What is wrong at the real places is divided by all of them, and so is its gradient.
    """
    found = [(m, mask) for m in meetings(record) if (mask := _filling(m)) is not None]
    if not found or len(found) < len(meetings(record)) / 2:
        return None
    filled = sum(int(mask.sum()) for _, mask in found)
    places = sum(mask.numel() for _, mask in found)
    first, mask = found[0]
    if not _counts(first, mask):
        return None
    evidence = (
        f"{filled / places:.0%} of the places that the loss counts only fill up the ends of "
        "sequences: inputs there are all the same, and so are targets"
    )
    return Sign(evidence, first.call.where)


def _filling(meeting: Meeting) -> Tensor | None:
    """Return which places fill up the ends of sequences, in the shape of the targets."""
    tape = meeting.trace.tape
    for entry in tape.networks:
        for tensor in tape.tensors(entry):
            mask = ends_of(tensor)
            if mask is None or mask.numel() != meeting.targets.numel():
                continue
            for turned in (mask, mask.T):
                placed = turned.reshape(meeting.targets.shape)
                if len(torch.unique(meeting.targets[placed])) == 1:
                    return placed
    return None


def _counts(meeting: Meeting, mask: Tensor) -> bool:
    """Tell whether predictions at these places change the loss."""
    loss, predictions = meeting.trace.loss, meeting.predictions
    (gradient,) = torch.autograd.grad(loss, predictions, retain_graph=True)
    if gradient.dim() > mask.dim() and meeting.kind in ("cross_entropy", "nll_loss"):
        gradient = gradient.abs().sum(1)
    return gradient.shape == mask.shape and bool(gradient[mask].any())
