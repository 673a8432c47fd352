"""Rules about schedules: when they are made, and when they are stepped."""

from __future__ import annotations

from collections import Counter

from dlbook.doctor.experiments import Trial, compare
from dlbook.doctor.outcomes import outcome_of
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule

__all__ = [
    "schedule_restarted",
    "schedule_stepped_before_training",
    "schedule_stepped_every_batch",
]

ENOUGH = 3  # times in a row that make a habit
NOTHING = 0.01  # share of the first rate at which a network as good as stands still


@rule(
    severity="error",
    title="the learning-rate schedule is made anew in each epoch, so it never gets anywhere",
    fix="+ scheduler = CosineAnnealingLR(optimizer, T_max=epochs)\n  for epoch in range(epochs):\n"
    "-     scheduler = CosineAnnealingLR(optimizer, T_max=epochs)",
    born="schedule_restarted_each_epoch",
)
def schedule_restarted(record: Record) -> Sign | None:
    """Find schedules that are made anew within the loop.

    A new schedule begins at its first step. Made anew in each epoch, it sets the rate back before
    it has changed anything.
    """
    made = record.around.of_kind("schedule", "optimizer")
    steps = Counter(e.facts["schedule"] for e in record.around.of_kind("schedule step"))
    since = [number for number, event in enumerate(made) if event.kind == "optimizer"]
    alike = made[since[-1] + 1 :] if since else made  # a new optimizer needs a new schedule
    again = [event for event in alike if event.step > 0]
    if len(again) < ENOUGH or len({event.where for event in again}) > 1:
        return None
    if any(steps[event.facts["schedule"]] > 2 for event in alike):
        return None
    evidence = f"{again[0].facts['name']} was made {len(alike)} times for the same optimizer"
    return Sign(evidence, again[0].where)


@rule(
    severity="error",
    title="the learning-rate schedule is stepped before the optimizer",
    fix="- scheduler.step()\n  optimizer.step()\n+ scheduler.step()",
    born="schedule_stepped_before_training",
)
def schedule_stepped_before_training(record: Record) -> Sign | None:
    """Find schedules that are stepped before the first step of the optimizer.

    The first rate of the schedule is skipped: each part of the training has the rate that was
    meant for the next.
    """
    steps = record.around.of_kind("schedule step")
    early = [event for event in steps if event.step == 0]
    if len(early) != 1 or len(steps) < 2 or not record.counts["step"]:
        return None
    evidence = f"{early[0].facts['name']} was stepped once before the optimizer's first step"
    return Sign(evidence, early[0].where)


@rule(
    severity="warning",
    title="the learning-rate schedule is stepped after every batch instead of every epoch",
    fix="  for X, y in loader:\n      ...\n      optimizer.step()\n-     scheduler.step()\n"
    "+ scheduler.step()",
    born="schedule_stepped_every_batch",
    causes=("rate-too-low",),
)
def schedule_stepped_every_batch(record: Record) -> Sign | None:
    """Find schedules whose rate is gone long before the run ends.

    A schedule that counts epochs is through after as many batches: for most of the run the rate is
    next to nothing, and the network stands still.
    """
    rates = record.habits.rates
    if not rates or len(record.around.of_kind("schedule step")) < ENOUGH:
        return None
    highest = max(rates)
    still = sum(rate < NOTHING * highest for rate in rates)
    stepped = [event.step for event in record.around.of_kind("schedule step")]
    every = stepped[:50] == list(range(stepped[0], stepped[0] + len(stepped[:50])))
    if not every or still < len(rates) / 2 or not _stands_still_too_early(record):
        return None
    evidence = (
        f"the schedule was stepped with every optimizer step: in {still} of {len(rates)} steps "
        f"the rate was below a hundredth of {highest:.3g}"
    )
    return Sign(evidence, record.around.of_kind("schedule step")[0].where)


def _stands_still_too_early(record: Record) -> bool:
    """Tell whether the first rate, kept, clearly wins over the rates of the run."""
    if outcome_of(record).healthy and outcome_of(record).falling:
        return False
    rates = record.habits.rates

    def as_run(trial: Trial) -> None:
        trial.rates = rates

    def kept(trial: Trial) -> None:
        trial.rates = [max(rates)]

    run, constant = compare(record, as_run), compare(record, kept)
    if run is None or constant is None:
        return False
    return constant.repaired < run.repaired - 0.25 * (constant.constant - constant.repaired)
