"""Rules about what is made small: its sign, its scale, and the scales of its terms."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from statistics import fmean

import torch
from torch import Tensor

from dlbook.doctor.experiments import (
    STEPS,
    Trial,
    clearly_better,
    compare,
    constant_loss,
    own_draws,
    train,
    trial_of,
)
from dlbook.doctor.meetings import meetings, meetings_of
from dlbook.doctor.outcomes import SHARE, outcome_of
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.tape import Entry, Ref, Tape
from dlbook.doctor.terms import Term, terms_of, weighed
from dlbook.doctor.traces import PLAIN, Trace, traces_of

__all__ = ["loss_of_the_wrong_sign", "loss_summed_not_averaged", "terms_out_of_scale"]

PARTS = 5  # of a run, between which the loss is compared
DISTANCES, STEADY = (3.0, 30.0, 300.0), 5.0  # outputs are moved, and falls between those
FASTER = (1.0, 10.0)  # rates of an experiment, in those of the run
LITTLE = 0.01  # what the other terms count in the experiment


@rule(
    severity="error",
    title="the loss has the wrong sign: what should grow is made small",
    fix="- loss = log_p.mean()\n+ loss = -log_p.mean()",
    born="loss_of_the_wrong_sign",
    causes=(
        *("exploding-gradients", "labels-unrelated-to-inputs", "loss-not-finite", "rate-too-high"),
        *("logarithm-of-zero", "stopped-while-falling", "weights-too-large", "targets-unscaled"),
        *("inputs-unscaled", "rate-too-low"),
    ),
)
def loss_of_the_wrong_sign(record: Record) -> Sign | None:
    """Find a loss that falls without end, and whose negative has an end.

    A likelihood, a reward or a score is to be made large, and optimizers make small. Descent on it
    makes the answers as wrong as it can, and nothing bounds it below.
    """
    trace = next(iter(traces_of(record)), None)
    if trace is not None and (opposed := _makes_opposite(trace)):
        return opposed
    if not _falls_below_zero(record.losses):
        return None
    if trace is None or not _is_bottomless(trace, 1.0):
        return None
    if _is_bottomless(trace, -1.0):
        return _term_of_the_wrong_sign(record, trace)
    turned = replace(record, tapes=[_turned(tape) for tape in record.tapes], cache={})
    constant = constant_loss(turned)
    rest = min((_after(turned, faster) for faster in FASTER), default=math.nan)
    if not rest < constant - SHARE * abs(constant):
        return None
    first, last = record.losses[0], [v for v in record.losses if math.isfinite(v)][-1]
    evidence = (
        f"the loss went from {first:.3g} to {last:.3g} and fell on without end; in an experiment "
        f"with the sign turned it came to {rest:.3g}, where a constant answer has {constant:.3g}"
    )
    where = record.backwards[0].where if record.backwards else ""
    return Sign(evidence, where)


@rule(
    severity="warning",
    title="the loss is a sum over the batch, at a rate for a mean",
    fix='- nn.MSELoss(reduction="sum")\n+ nn.MSELoss()',
    born="sum_where_mean_was_meant",
    causes=(
        *("exploding-gradients", "loss-not-finite", "rate-too-high", "inputs-unscaled"),
        *("weights-too-large", "targets-unscaled", "dead-units", "clipping-out-of-scale"),
    ),
)
def loss_summed_not_averaged(record: Record) -> Sign | None:
    """Find a sum in the loss that makes the steps too long.

    The sum over a batch is as many times the mean as there are numbers in it, and so are its
    gradients. A rate that suits a mean is then as many times too high.
    """
    summed = _numbers_summed(record)
    if summed < 2 or outcome_of(record).healthy:
        return None

    def cure(trial: Trial) -> None:
        trial.scale = trial.scale / summed

    result = compare(record, cure)
    if result is None or not result.wins:
        return None
    ended = f"{result.as_is:.3g}" if math.isfinite(result.as_is) else "no finite number"
    evidence = (
        f"the loss adds up {summed} numbers; in an experiment it ended at {ended} as it is, and at "
        f"{result.repaired:.3g} with gradients of the mean"
    )
    return Sign(evidence, meetings(record)[0].call.where)


@rule(
    severity="warning",
    title="one term of the loss outweighs another, which is not learned at all",
    fix="bring both terms to the same scale: both as means, or both as sums over a record",
    born="terms_out_of_scale",
    causes=("inputs-ignored", "rate-too-low", "too-little-capacity", "vanishing-gradients"),
)
def terms_out_of_scale(record: Record) -> Sign | None:
    """Find a term of the loss that is only learned without the others.

    The terms of a sum share one network. What a term asks for is done in proportion to its
    gradient; next to one whose numbers are much larger it is not heard.
    """
    sums = [(trace, terms) for trace in traces_of(record) if len(terms := terms_of(trace)) > 1]
    if not sums or len({len(terms) for _, terms in sums}) > 1:
        return None
    first, count = sums[0][0], len(sums[0][1])
    passes = [(trace.tape, terms) for trace, terms in sums]
    for number, term in enumerate(sums[0][1]):
        if term.sign < 0 or not _compares(first, term.slot):
            continue
        alone = [replace(tape, loss=terms[number].slot) for tape, terms in passes]
        constant = constant_loss(replace(record, tapes=alone, cache={}))
        enough = constant - SHARE * abs(constant)
        if not _ended_at(record, number, count) > enough:
            continue  # the run has learned it, or that is not known
        as_is, freed = (_term_after(record, number, passes, w) for w in (1.0, LITTLE))
        if as_is < enough or not clearly_better(freed, as_is, constant):
            continue
        evidence = (
            f"term {number + 1} of {count} ended at {as_is:.3g}, where a constant answer has "
            f"{constant:.3g}; in an experiment with the other terms at {LITTLE:.0%} it ended at "
            f"{freed:.3g}"
        )
        where = record.backwards[0].where if record.backwards else ""
        return Sign(evidence, where)
    return None


def _makes_opposite(trace: Trace) -> Sign | None:
    """Find a loss that is a cosine similarity and nothing else, and so asks for opposites."""
    ends = [call for call, _ in trace.near_the_loss() if call.name not in PLAIN]
    if not ends or any(call.name != "cosine_similarity" for call in ends):
        return None
    similar = [call.results[0] for call in ends]
    slopes = torch.autograd.grad(trace.loss, similar, retain_graph=True)
    if not all(bool((slope > 0).all()) for slope in slopes):
        return None
    fix = "- loss = cosine_similarity(a, b).mean()\n+ loss = 1 - cosine_similarity(a, b).mean()"
    title = "the loss has the wrong sign: the cosine similarity is made small"
    return Sign("all that the loss holds is a cosine similarity", ends[0].where, fix, title)


def _term_of_the_wrong_sign(record: Record, trace: Trace) -> Sign | None:
    """Find the one term of a sum with whose sign turned the loss has an end."""
    terms = terms_of(trace)
    bounded = []
    for number in range(len(terms) if len(terms) > 1 else 0):
        weights = [-1.0 if n == number else 1.0 for n in range(len(terms))]
        tape = weighed(trace.tape, terms, weights)
        with own_draws(0):
            values = tape.values(trace.models)
        turned = replace(trace, tape=tape, values=values, loss=values[tape.loss or 0])
        if not _is_bottomless(turned, 1.0):
            bounded.append(number)
    if len(bounded) != 1:
        return None
    ended = [value for value in record.losses if math.isfinite(value)][-1]
    value = trace.values[terms[bounded[0]].slot].item()
    evidence = (
        f"the loss went from {record.losses[0]:.3g} to {ended:.3g} and fell on without end; with "
        f"the sign of term {bounded[0] + 1} of {len(terms)} turned, which began at {value:.3g}, it "
        "has an end"
    )
    where = record.backwards[0].where if record.backwards else ""
    fix = "- loss = error - divergence\n+ loss = error + divergence"
    return Sign(evidence, where, fix, "a term of the loss has the wrong sign")


def _falls_below_zero(losses: list[float]) -> bool:
    """Tell whether a loss is below 0 at last and still falls as fast as before."""
    finite = [value for value in losses if math.isfinite(value)]
    if len(finite) < 2 * PARTS or finite[-1] >= 0:
        return False
    size = len(finite) // PARTS
    means = [fmean(finite[i * size : (i + 1) * size]) for i in range(PARTS)]
    falls = [before - after for before, after in pairwise(means)]
    return means[0] > means[-1] and falls[-1] > fmean(falls) / 2


def _turned(tape: Tape) -> Tape:
    """Turn the sign of a tape's loss."""
    if tape.loss is None:
        return tape
    slot = max(tape.shapes, default=0) + 1
    entry = Entry("neg", torch.neg, (Ref(tape.loss),), {}, [slot], "")
    return replace(tape, entries=[*tape.entries, entry], loss=slot)


def _is_bottomless(trace: Trace, sign: float) -> bool:
    """Tell whether a loss, times a sign, falls without end as outputs move where it falls first."""
    calls = [[trace.values[slot] for slot in e.results] for e in trace.tape.networks]
    outputs = [z for call in calls for z in call if z.requires_grad]
    slopes = torch.autograd.grad(trace.loss, outputs, retain_graph=True, allow_unused=True)
    ways = {id(z): s for z, s in zip(outputs, slopes, strict=True) if s is not None}
    together = [list(ways), *([key] for key in ways)]  # some may only be moved so far, as scales
    return any(_falls_on(trace, calls, {k: ways[k] for k in keys}, sign) for keys in together)


def _falls_on(
    trace: Trace, calls: list[list[Tensor]], ways: dict[int, Tensor], sign: float
) -> bool:
    """Tell whether a loss falls on without end as outputs move along their slopes."""
    steepest = max((float(slope.abs().max()) for slope in ways.values()), default=0.0)
    if steepest == 0 or not math.isfinite(steepest):
        return False

    def loss_at(distance: float) -> float:
        step = sign * distance / steepest
        moved = iter(
            [z.detach() - step * ways[id(z)] if id(z) in ways else z.detach() for z in call]
            for call in calls
        )
        networks = {entry.name: lambda *_, **__: next(moved) for entry in trace.tape.networks}
        with own_draws(0), torch.no_grad():
            values = trace.tape.values(networks)
        return sign * values[trace.tape.loss or 0].item()

    try:
        near, middle, far = (loss_at(distance) for distance in DISTANCES)
    except (RuntimeError, TypeError, ValueError, KeyError):
        return False  # such outputs are not taken
    return near > middle > far and middle - far > (near - middle) * STEADY


def _after(record: Record, faster: float) -> float:
    """Return the mean loss after training, at so many times the rate."""
    trial = trial_of(record)
    if trial is None:
        return math.nan
    for group in trial.optimizer.param_groups:
        group["lr"] = faster * group["lr"]
    return train(trial, steps=STEPS, seed=0)[1]


def _numbers_summed(record: Record) -> int:
    """Count what a loss adds up over the batch; 1 where it takes a mean."""
    for meeting in meetings(record)[:1]:
        near = {call.number: path for call, path in meeting.trace.near_the_loss()}
        path = near.get(meeting.call.number, ())
        if {"mean", "div", "true_divide", "__truediv__"} & set(path):
            return 1
        reduction = meeting.call.kwargs.get("reduction", "mean")
        kind = meeting.kind
        if reduction == "sum" or ("sum" in path and (reduction == "none" or kind == "difference")):
            return meeting.targets.numel()
    return 1


def _compares(trace: Trace, slot: int) -> bool:
    """Tell whether predictions and targets meet in a term."""
    near = [call for call, _ in replace(trace, loss=trace.values[slot]).near_the_loss()]
    met = {meeting.call.number for meeting in meetings_of(trace)}
    return any(call.number in met for call in near)


def _ended_at(record: Record, number: int, count: int) -> float:
    """Return the mean of a term over the passes, on the networks as they were at the end."""
    sums = [(trace, terms_of(trace)) for trace in traces_of(record, final=True)]
    found = [t.values[terms[number].slot].item() for t, terms in sums if len(terms) == count]
    return fmean(found) if found else math.nan


Pass = tuple[Tape, list[Term]]


def _term_after(record: Record, number: int, passes: list[Pass], others: float) -> float:
    """Return a term's mean after training in which the other terms count as much as asked."""
    trial = trial_of(record)
    if trial is None:
        return math.nan
    trial.tapes = [weighed(tape, terms, [1.0] * len(terms)) for tape, terms in passes]
    before = _steepness(trial)
    trial.tapes = [
        weighed(tape, terms, [1.0 if n == number else others for n in range(len(terms))])
        for tape, terms in passes
    ]
    trial.scale *= before / max(_steepness(trial), 1e-12)  # steps as long as they were
    train(trial, steps=2 * STEPS, seed=0)
    try:
        with own_draws(0), torch.no_grad():
            return fmean(
                float(trial.loss(replace(tape, loss=terms[number].slot))) for tape, terms in passes
            )
    except (RuntimeError, TypeError, ValueError, KeyError):
        return math.nan


def _steepness(trial: Trial) -> float:
    """Return the norm of the first gradient."""
    learned = [p for p in trial.parameters.values() if p.requires_grad]
    with own_draws(0):
        found = torch.autograd.grad(trial.loss(trial.tapes[0]), learned, allow_unused=True)
    return math.hypot(*(float(g.norm()) for g in found if g is not None))
