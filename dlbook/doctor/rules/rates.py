"""Rules about settings that make steps too long or too short, each told by a trial without it."""

from __future__ import annotations

import copy
import math
from statistics import median

from dlbook.doctor.experiments import Cure, Trial, clearly_better, train, trial_of
from dlbook.doctor.outcomes import outcome_of
from dlbook.doctor.races import MOST, Race, line_of_optimizer, race, rate_of, well_learned
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.samples import samples_of

__all__ = [
    "HIGHER",
    "LOWER",
    "clipping_out_of_scale",
    "decay_out_of_scale",
    "eps_too_large",
    "first_that_wins",
    "loss_if_longer",
    "rate_too_high",
    "rate_too_low",
    "stopped_while_falling",
]

WILD = 10.0  # quartile distances: targets spread wider than that have a few that are far off
ENOUGH = 16  # steps: after fewer, nothing can be said of where they lead
HALF = 0.5  # of what a cure wins that the run did not, where less may be meant or no harm
LONGER = 4  # times as many steps again
LOWER, HIGHER = (0.1, 0.01), (10.0, 100.0, 1000.0)


@rule(
    severity="warning",
    title="weight decay is out of scale: it outweighs the loss",
    fix="- weight_decay=1\n+ weight_decay=1e-4",
    born="decay_out_of_scale",
    causes=("rate-too-low", "rate-too-high", "too-little-capacity", "stopped-while-falling"),
)
def decay_out_of_scale(record: Record) -> Sign | None:
    """Find weight decay that pulls all weights to zero.

    Decay pulls each weight towards zero in proportion to its size. Where that pull is stronger than
    what the loss asks for, the weights die, and the network answers the same to everything.
    """
    decays = [float(str(g.get("weight_decay", 0))) for groups in record.settings for g in groups]
    if not any(decays) or well_learned(record):
        return None

    def without(trial: Trial) -> None:
        for group in trial.optimizer.param_groups:
            group["weight_decay"] = 0.0

    found = race(record, "no decay", without)
    if found is None or not found.wins or found.missed < HALF:
        return None
    fix = f"- weight_decay={max(decays):g}\n+ weight_decay={max(decays) / 1000:g}"
    evidence = f"weight_decay={max(decays):g}; {found.told('without it')}"
    return Sign(evidence, line_of_optimizer(record), fix)


@rule(
    severity="warning",
    title="gradients are clipped to a norm far below their own",
    fix="- clip_grad_norm_(parameters, max_norm=0.001)\n"
    "+ clip_grad_norm_(parameters, max_norm=1.0)",
    born="clipping_out_of_scale",
    causes=("rate-too-low", "stopped-while-falling", "vanishing-gradients"),
)
def clipping_out_of_scale(record: Record) -> Sign | None:
    """Find clipping that shortens nearly every step to next to nothing.

    A clipped gradient is as long as the limit, whatever the loss. A limit far below the usual norm
    works like a rate that is as many times too low.
    """
    clips = [e for e in record.around.of_kind("clip") if e.facts["fresh"]]
    norms = [e.facts["norm"] for e in clips if math.isfinite(e.facts["norm"])]
    if not norms or well_learned(record):
        return None
    limit, usual = median([e.facts["limit"] for e in clips]), median(norms)
    if usual <= limit or _far_off_targets(record):
        return None

    def without(trial: Trial) -> None:
        if trial.clip is not None:
            trial.clip = usual
        else:
            trial.clip_number = usual

    found = race(record, "clipped less", without)
    if found is None or not found.wins:
        return None
    evidence = (
        f"the limit is {limit:g}, and the norm of the gradient {usual:.2g} in the median step; "
        f"{found.told(f'with a limit of {usual:.2g}')}"
    )
    name = "clip_grad_value_" if clips[0].facts["single"] else "clip_grad_norm_"
    fix = f"- {name}(parameters, {limit:g})\n+ {name}(parameters, {usual:.1g})"
    return Sign(evidence, clips[0].where, fix)


@rule(
    severity="warning",
    title="Adam's eps is larger than the gradients",
    fix="- Adam(parameters, lr, eps=1.0)\n+ Adam(parameters, lr, eps=1e-8)",
    born="eps_too_large",
    causes=("rate-too-low", "stopped-while-falling"),
)
def eps_too_large(record: Record) -> Sign | None:
    """Find an eps that outweighs the gradients.

    Adam divides the mean gradient by the root of its mean square plus eps, so that a step is about
    as long as the rate. Where eps is the larger of the two, steps are shorter by as much.
    """
    eps = max((float(str(g.get("eps", 0))) for gs in record.settings for g in gs), default=0.0)
    numel = {key: f.parameter.numel() ** 0.5 for key, f in record.parameters.items()}
    sizes = [
        norm / numel[key]
        for step in record.steps
        for key, norm in step.gradients.items()
        if key in numel and math.isfinite(norm) and norm
    ]
    if not sizes or eps <= median(sizes) or well_learned(record):
        return None

    def smaller(trial: Trial) -> None:
        for group in trial.optimizer.param_groups:
            group["eps"] = 1e-8

    found = race(record, "eps", smaller)
    if found is None or not found.wins:
        return None
    evidence = (
        f"eps={eps:g}, and the gradient of a number is {median(sizes):.1g} in the median; "
        f"{found.told('with eps=1e-08')}"
    )
    return Sign(evidence, line_of_optimizer(record), f"- eps={eps:g}\n+ eps=1e-8")


@rule(
    severity="warning",
    title="the learning rate is too high",
    fix="- lr=0.5\n+ lr=0.005",
    born="rate_too_high",
    causes=("dead-units", "loss-not-finite", "too-little-capacity", "nan-gradient"),
)
def rate_too_high(record: Record) -> Sign | None:
    """Find a rate with which steps leave the region in which the gradient means anything.

    A step follows the slope at one point. Too long a step lands where the loss is higher than
    before: the loss leaps, swings without settling, or becomes NaN.
    """
    if well_learned(record):
        return None
    return _better_rate(record, LOWER)


@rule(
    severity="note",
    title="training stops while the loss still falls",
    fix="- for epoch in range(2):\n+ for epoch in range(20):",
    born="training_stopped_too_early",
    causes=("rate-too-low", "too-little-capacity"),
)
def stopped_while_falling(record: Record) -> Sign | None:
    """Find a run that ends long before its loss has settled.

    With few batches an epoch makes few steps. No parameter has moved far enough when they end.
    """
    outcome = outcome_of(record)
    if well_learned(record) or not outcome.falling:
        return None
    later = loss_if_longer(record)
    if not clearly_better(later, outcome.last, outcome.constant):
        return None
    if outcome.last < outcome.constant - HALF * (outcome.constant - later):
        return None
    best = first_that_wins(record, HIGHER)
    if best is not None and clearly_better(best[1].loss, later, outcome.constant):
        return None
    evidence = (
        f"after {record.counts['step']} steps the loss was {outcome.last:.3g} and fell; trained on "
        f"from there it comes to {later:.3g}, and a network that ignores its inputs reaches "
        f"{outcome.constant:.3g}"
    )
    return Sign(evidence, record.step_line)


@rule(
    severity="warning",
    title="the learning rate is too low",
    fix="- lr=0.00001\n+ lr=0.001",
    born="rate_too_low",
    causes=("too-little-capacity",),
)
def rate_too_low(record: Record) -> Sign | None:
    """Find a rate with which the steps of the run lead nowhere.

    The weights move by the rate times the gradient, with Adam by about the rate. All steps of the
    run together are too short for them to get where they must.
    """
    outcome = outcome_of(record)
    if record.counts["step"] < ENOUGH or well_learned(record):
        return None
    if outcome.learned and outcome.falling:
        return None  # slower than need be is no fault
    return _better_rate(record, HIGHER, missed=HALF)


def _far_off_targets(record: Record) -> bool:
    """Tell whether a few targets are so far off that a limit may be there for them."""
    samples = samples_of(record)
    if samples is None or not samples.Y.numel() or samples.labels is not None:
        return False
    low, high = samples.Y.flatten()[:100_000].quantile(samples.Y.new_tensor([0.25, 0.75]))
    return bool(samples.Y.std() > WILD * (high - low))


def _better_rate(record: Record, factors: tuple[float, ...], missed: float = 0.0) -> Sign | None:
    rate, best = rate_of(record), first_that_wins(record, factors)
    if best is None or best[1].missed < missed:
        return None
    factor, found = best
    evidence = f"the rate is {rate:g}; {found.told(f'with {rate * factor:g}')}"
    fix = f"- lr={rate:g}\n+ lr={rate * factor:g}"
    return Sign(evidence, line_of_optimizer(record), fix)


def first_that_wins(record: Record, factors: tuple[float, ...]) -> tuple[float, Race] | None:
    """Return of some rates the first with which a trial wins.

    Parameters
    ----------
    record : Record
        What was seen.
    factors : tuple of float
        The rates, as multiples of the run's.

    Returns
    -------
    tuple of float and Race, or None
        The factor, and how it went.
    """
    for factor in factors:
        found = race(record, f"rate {factor}", _with_rate(factor))
        if found is None or (factor > 1 and not math.isfinite(found.loss)):
            return None
        if found.wins:
            return factor, found
    return None


def _with_rate(factor: float) -> Cure:
    def cure(trial: Trial) -> None:
        for group in trial.optimizer.param_groups:
            group["lr"] = group["lr"] * factor

    return cure


def loss_if_longer(record: Record) -> float:
    """Return the loss that the run comes to if it goes on as it ended.

    Parameters
    ----------
    record : Record
        What was seen.

    Returns
    -------
    float
        After four times as many steps more, at most 400; nan where it cannot be made again.
    """
    if "trained longer" not in record.cache:
        record.cache["trained longer"] = _train_longer(record)
    return float(record.cache["trained longer"])


def _train_longer(record: Record) -> float:
    trial = trial_of(record)
    if trial is None:
        return math.nan
    for name, model in trial.models.items():
        try:
            model.load_state_dict(record.models[name].state_dict())
        except RuntimeError:  # a layer was replaced
            return math.nan
    trial.optimizer.load_state_dict(copy.deepcopy(record.optimizers[0].state_dict()))
    steps = min(LONGER * record.counts["step"], 2 * MOST)
    return train(trial, steps=steps, seed=0)[1]
