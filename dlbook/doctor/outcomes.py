"""How a run went: whether it learned anything, and whether it still does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, median

from dlbook.doctor.experiments import constant_loss
from dlbook.doctor.record import Record

__all__ = ["Outcome", "outcome_of"]

SHARE = 0.05  # of what a constant predictor loses: what a network must win to have learned
PART = 0.2  # of the run: its beginning, and its end


@dataclass(frozen=True)
class Outcome:
    """How a run went, by its losses.

    Parameters
    ----------
    first, last : float
        Mean loss over the first and the last fifth of the run; nan where it is not known.
    constant : float
        The least loss of networks that give out the same for all inputs; nan if not known.
    finite : bool
        Whether all losses were finite.
    falling : bool
        Whether the loss still fell towards the end: the median of the last fifth is below that of
        the fifth before it by more than a hundredth.
    """

    first: float
    last: float
    constant: float
    finite: bool
    falling: bool

    @property
    def learned(self) -> bool:
        """Whether the run ended clearly below what a constant predictor reaches."""
        if math.isfinite(self.constant):
            return self.last < self.constant - SHARE * max(abs(self.constant), 1e-12)
        return self.last < 0.8 * self.first

    @property
    def healthy(self) -> bool:
        """Whether the run learned and nothing broke down: then there is nothing to warn of."""
        return self.finite and self.learned


def outcome_of(record: Record) -> Outcome:
    """Judge how a run went.

    Parameters
    ----------
    record : Record
        What was seen.

    Returns
    -------
    Outcome
        First and last losses, and what they are to be compared with.
    """
    losses = record.losses
    length = max(1, int(PART * len(losses)))
    known = len(losses) >= 2
    end, before = losses[-length:], losses[-2 * length : -length]
    return Outcome(
        first=fmean(losses[:length]) if known else math.nan,
        last=fmean(end) if known else math.nan,
        constant=constant_loss(record),
        finite=all(map(math.isfinite, losses)),
        falling=bool(before) and median(end) < median(before) - 0.01 * abs(median(before)),
    )
