"""Where predictions and targets meet, and what is measured of outputs beside the loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from dlbook.doctor.record import Record
from dlbook.doctor.tape import Entry, Tape
from dlbook.doctor.traces import Call, Trace, traces_of

__all__ = ["DISTANCES", "LOSSES", "Meeting", "measured", "meetings", "meetings_of"]

DISTANCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
LOSSES = (
    *DISTANCES,
    *("binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "ctc_loss"),
    *("gaussian_nll_loss", "kl_div", "multi_margin_loss", "multilabel_margin_loss", "nll_loss"),
    *("multilabel_soft_margin_loss", "poisson_nll_loss", "soft_margin_loss"),
)
DIFFERENCES = frozenset({"sub", "subtract", "rsub", "__sub__", "__rsub__"})
POWERS = frozenset(
    {
        *("__pow__", "abs", "cosh", "float_power", "logcosh", "maximum", "mul", "norm", "pow"),
        *("square", "vector_norm", "where"),
    }
)


@dataclass
class Meeting:
    """Where predictions and targets meet.

    Parameters
    ----------
    kind : str
        The loss; ``"difference"`` where one is subtracted from the other by hand.
    predictions, targets : Tensor
        The two sides; only the predictions depend on the network.
    call : Call
        The call that was given both.
    trace : Trace
        Where it was seen.
    """

    kind: str
    predictions: Tensor
    targets: Tensor
    call: Call
    trace: Trace

    @property
    def source(self) -> Call | None:
        """The call that made the predictions, changes of shape aside."""
        return self.trace.source(self.predictions, self.call.number)

    @property
    def is_distance(self) -> bool:
        """Whether the loss measures how far predictions are from targets."""
        return self.kind == "difference" or self.kind in DISTANCES


def meetings(record: Record, *, final: bool = False) -> list[Meeting]:
    """Find where predictions and targets meet, in all passes that can be played.

    Parameters
    ----------
    record : Record
        What was seen.
    final : bool, default False
        As for ``traces_of``.

    Returns
    -------
    list of Meeting
        In order.
    """
    key = f"meetings, final {final}"
    if key not in record.cache:
        traces = traces_of(record, final=final)
        record.cache[key] = [meeting for trace in traces for meeting in meetings_of(trace)]
    found: list[Meeting] = record.cache[key]
    return found


def meetings_of(trace: Trace) -> Iterator[Meeting]:
    """Find where predictions and targets meet in one pass.

    Parameters
    ----------
    trace : Trace
        The pass.

    Yields
    ------
    Meeting
        Those next to the loss first.
    """
    for call, path in trace.near_the_loss():
        sides = [side for side in call.tensors if side.dim() or side.requires_grad][:2]
        if call.name in LOSSES:
            given = call.argument(0, "input"), call.argument(1, "target")
            given = given[0] if given[0] is not None else call.argument(0, "log_probs"), given[1]
            if not all(isinstance(side, Tensor) for side in given):
                continue
            sides = list(given)
            if call.name in DISTANCES and not sides[0].requires_grad:
                sides.reverse()  # the order does not matter to a distance
            kind = call.name
        elif call.name in DIFFERENCES and len(sides) == 2 and POWERS.intersection(path):
            if not sides[0].requires_grad:
                sides.reverse()
            kind = "difference"
        else:
            continue
        if len(sides) == 2 and sides[0].requires_grad and not sides[1].requires_grad:
            yield Meeting(kind, sides[0], sides[1], call, trace)


def measured(record: Record) -> Iterator[tuple[Tape, Entry]]:
    """Yield what was called on outputs of networks without a loss coming of it.

    Parameters
    ----------
    record : Record
        What was seen.

    Yields
    ------
    tuple of Tape and Entry
        The call, and the tape that it stands on.
    """
    for tape, noted in (
        *((tape, tape.entries) for tape in record.evaluations),
        *((tape, tape.aside) for tape in record.tapes),
    ):
        outputs = {slot for entry in tape.networks for slot in entry.results}
        for entry in noted:
            if entry.function is not None and not outputs.isdisjoint(entry.refs):
                outputs.update(entry.results)
                yield tape, entry
