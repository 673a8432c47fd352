"""Whether a cure beats the run itself: experiments held against how the run ended."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dlbook.doctor.experiments import (
    Comparison,
    Cure,
    clearly_better,
    compare,
    train,
    trial_of,
)
from dlbook.doctor.outcomes import outcome_of
from dlbook.doctor.record import Record

__all__ = ["MOST", "Race", "line_of_optimizer", "race", "rate_of", "well_learned"]

MOST = 200  # steps of one trial
WELL = 0.25  # of what a constant predictor loses: a run that ends below it has no such fault


@dataclass(frozen=True)
class Race:
    """A cure against the run as it was.

    Parameters
    ----------
    made : Comparison
        Trials with and without the cure, of as many steps.
    run : float
        The mean loss over the last fifth of the run itself; infinity where it broke down.
    steps : int
        How many steps each trial made at most, never more than the run.
    """

    made: Comparison
    run: float
    steps: int

    @property
    def loss(self) -> float:
        """The loss that the cure comes to; infinity where it breaks down."""
        return self.made.repaired if math.isfinite(self.made.repaired) else math.inf

    @property
    def wins(self) -> bool:
        """Whether the cure clearly beats both the trial without it and the run."""
        return self.made.wins and clearly_better(self.loss, self.run, self.made.constant)

    @property
    def missed(self) -> float:
        """Of what the cure wins over a constant, the share that the run did not win."""
        reach = self.made.constant - self.loss
        return min((self.run - self.loss) / reach, 1.0) if reach > 0 else 0.0

    def told(self, cured: str) -> str:
        """Say how it went.

        Parameters
        ----------
        cured : str
            What the cure is: ``"with a rate of 0.01"``.

        Returns
        -------
        str
            A part of a sentence.
        """
        ended = f"ended at {self.run:.3g}" if math.isfinite(self.run) else "broke down"
        return (
            f"trained again {cured} the loss comes to {self.loss:.3g} within {self.steps} steps; "
            f"the run {ended}, and a network that ignores its inputs reaches "
            f"{self.made.constant:.3g}"
        )


def race(record: Record, name: str, cure: Cure) -> Race | None:
    """Try a cure out over as many steps as the run made, at most 200.

    Parameters
    ----------
    record : Record
        What was seen.
    name : str
        By which its result is kept.
    cure : callable
        Takes a ``Trial`` and changes its copies in place.

    Returns
    -------
    Race or None
        None where the run cannot be made again.
    """
    key = f"race {name}"
    if key not in record.cache:
        record.cache[key] = _race(record, cure, min(MOST, record.counts["step"]))
    found: Race | None = record.cache[key]
    return found


def _race(record: Record, cure: Cure, steps: int) -> Race | None:
    outcome, trial = outcome_of(record), trial_of(record)
    if not steps or trial is None:
        return None
    run = outcome.last if math.isfinite(outcome.last) else math.inf
    cure(trial)
    loss = train(trial, steps=steps, seed=0)[1]
    made: Comparison | None = Comparison(run, loss, outcome.constant)
    if clearly_better(loss, run, outcome.constant):  # only then is it worth to try more
        made = compare(record, cure, steps=steps)
    return None if made is None else Race(made, run, steps)


def well_learned(record: Record) -> bool:
    """Tell whether a run ended so far below a constant predictor that no cure is looked for.

    Parameters
    ----------
    record : Record
        What was seen.

    Returns
    -------
    bool
        False also where what a constant predictor loses is not known.
    """
    outcome = outcome_of(record)
    return outcome.finite and outcome.last < WELL * outcome.constant


def rate_of(record: Record) -> float:
    """Return the largest rate that was seen.

    Parameters
    ----------
    record : Record
        What was seen.

    Returns
    -------
    float
        0 where no step was looked at.
    """
    return max((step.rate for step in record.steps), default=0.0)


def line_of_optimizer(record: Record) -> str:
    """Return the line that makes the optimizer, or that makes its steps.

    Parameters
    ----------
    record : Record
        What was seen.

    Returns
    -------
    str
        As ``"train.py:12"``.
    """
    for event in record.around.of_kind("optimizer"):
        if event.facts["held"] & record.in_optimizers:
            return event.where
    return record.step_line
