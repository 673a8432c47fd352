"""Rules about steps that are made otherwise than meant, told from what was seen alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor

from dlbook.doctor.experiments import Trial, compare
from dlbook.doctor.outcomes import outcome_of
from dlbook.doctor.races import MOST
from dlbook.doctor.record import Record, StepFacts
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.surroundings import Event

__all__ = [
    "betas_swapped",
    "clipped_after_the_step",
    "optimizer_made_in_the_loop",
    "steps_lost_in_rounding",
]

ENOUGH = 3  # steps in a row that make a habit
OFTEN = 5  # optimizers made of the same parameters
SHORT = (torch.bfloat16, torch.float16)
WITH_MEMORY = ("betas", "alpha", "rho", "lr_decay", "etas", "beta2_decay")


@rule(
    severity="error",
    title="Adam's betas stand in the wrong order",
    fix="- betas=(0.999, 0.9)\n+ betas=(0.9, 0.999)",
    born="betas_swapped",
    causes=("rate-too-high", "stopped-while-falling", "loss-not-finite"),
)
def betas_swapped(record: Record) -> Sign | None:
    """Find betas of which the first is the larger.

    The first beta is for the mean gradient, the second for the mean square that scales it. Swapped,
    a step follows the gradients of long ago and is scaled by those of the last few steps alone: it
    runs on far beyond each minimum.
    """
    for groups in record.settings:
        for group in groups:
            betas = group.get("betas")
            if not isinstance(betas, tuple) or len(betas) != 2:
                continue
            first, second = (float(beta) for beta in betas)
            if first > second:
                spans = " and ".join(f"{1 / max(1 - b, 1e-9):.0f}" for b in (first, second))
                evidence = (
                    f"betas=({first:g}, {second:g}): the mean gradient and the mean square reach "
                    f"back over about {spans} steps"
                )
                fix = f"- betas=({first:g}, {second:g})\n+ betas=({second:g}, {first:g})"
                return Sign(evidence, record.step_line, fix)
    return None


@rule(
    severity="error",
    title="gradients are clipped after the step that used them",
    fix="  loss.backward()\n+ clip_grad_norm_(model.parameters(), limit)\n  optimizer.step()\n"
    "- clip_grad_norm_(model.parameters(), limit)",
    born="clipped_after_the_step",
    causes=(
        "rate-too-high",
        "exploding-gradients",
        "dead-units",
        "nan-gradient",
        "loss-not-finite",
    ),
)
def clipped_after_the_step(record: Record) -> Sign | None:
    """Find gradients that are clipped when they have been used.

    The step has been made with the gradients as they were, and the next backward pass begins anew:
    what is clipped in between serves nothing.
    """
    clips = record.around.of_kind("clip")
    if len(clips) < ENOUGH or not record.around.step or any(c.facts["fresh"] for c in clips):
        return None
    if not any(clip.facts["norm"] > clip.facts["limit"] for clip in clips):
        return None  # nothing would have been cut at the right place either
    evidence = f"before none of {len(clips)} clippings had a gradient arrived since the step before"
    return Sign(evidence, clips[0].where)


@rule(
    severity="error",
    title="the optimizer is made anew in the loop",
    fix="+ optimizer = …\n  for inputs, targets in loader:\n-     optimizer = …",
    born="optimizer_made_in_the_loop",
    causes=("rate-too-low", "rate-too-high", "stopped-while-falling"),
)
def optimizer_made_in_the_loop(record: Record) -> Sign | None:
    """Find an optimizer that is made again and again for the same parameters.

    Momentum and the mean squares of Adam are kept in the optimizer. A new one knows nothing of the
    steps before: every step is a first step.
    """
    made = defaultdict[frozenset[int], list[Event]](list)
    for event in record.around.of_kind("optimizer"):
        if event.facts["held"] & record.parameters.keys() and _remembers(event.facts["settings"]):
            made[event.facts["held"]].append(event)
    loads = [event.step for event in record.around.of_kind("load")]
    for events in made.values():
        counts = [event.facts["backwards"] for event in events]
        lives = [later - earlier for earlier, later in pairwise(counts) if later > earlier]
        if len(lives) + 1 < OFTEN or any(events[0].step <= step for step in loads):
            continue
        same = all(event.facts["settings"] == events[0].facts["settings"] for event in events)
        if not same and median(lives) > ENOUGH:
            continue  # a new phase of training, with a rate of its own
        evidence = (
            f"{events[0].facts['name']} was made {len(lives) + 1} times of the same parameters, "
            f"after every {median(lives):g} backward passes"
        )
        return Sign(evidence, events[-1].where)
    return None


@rule(
    severity="error",
    title="steps are lost in rounding: the weights' type is too coarse for them",
    fix="- model.to(torch.bfloat16)\n+ with torch.autocast(device, torch.bfloat16):\n"
    "+     loss = loss_fn(model(X), y)",
    born="steps_lost_in_bfloat16",
    causes=("steps-change-nothing", "rate-too-low", "stopped-while-falling"),
)
def steps_lost_in_rounding(record: Record) -> Sign | None:
    """Find steps that are rounded off.

    A number of 8 or 11 binary digits has its neighbors a hundredth or a thousandth of itself away.
    A step of less than half of that leaves the weight, rounded, what it was, each time again.
    """
    known = record.parameters
    numel = {key: f.parameter.numel() for key, f in known.items() if f.parameter.dtype in SHORT}
    shares = [
        _weighted_mean(step, numel)
        for step in record.steps
        if step.rate and step.lost.keys() & numel
    ]
    if len(shares) < ENOUGH or median(shares) < 0.5:
        return None
    found = compare(record, _in_single_precision, steps=min(MOST, record.counts["step"]))
    won = found is not None and found.wins
    if not won and outcome_of(record).learned:
        return None
    dtype = next(f.parameter.dtype for key, f in known.items() if key in numel)
    evidence = (
        f"the weights are {dtype}; of {len(shares)} steps looked at, the median one left "
        f"{100 * median(shares):.0f} % of the numbers with a gradient as they were"
    )
    if found is not None and won:
        evidence += (
            f"; in float32 the loss comes to {found.repaired:.3g}, as it is to {found.as_is:.3g}"
        )
    return Sign(evidence, record.step_line)


def _remembers(settings: dict[str, object]) -> bool:
    """Tell whether an optimizer with these settings keeps anything from step to step."""
    return bool(settings.get("momentum")) or any(key in settings for key in WITH_MEMORY)


def _weighted_mean(step: StepFacts, numel: dict[int, int]) -> float:
    counted = {key: numel[key] for key in step.lost if key in numel}
    return sum(step.lost[key] * count for key, count in counted.items()) / sum(counted.values())


def _in_single_precision(trial: Trial) -> None:
    def longer(tensor: Tensor) -> Tensor:
        return tensor.float() if tensor.dtype in SHORT else tensor

    for model in trial.models.values():
        model.float()
    trial.tapes = [
        replace(tape, given={slot: longer(tensor) for slot, tensor in tape.given.items()})
        for tape in trial.tapes
    ]
