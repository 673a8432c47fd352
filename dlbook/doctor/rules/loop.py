"""Rules about what a loop does beside its steps: conversions, weights kept, draws, batches."""

from __future__ import annotations

from collections import Counter

from dlbook.doctor.experiments import Trial, compare
from dlbook.doctor.outcomes import outcome_of
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule

__all__ = [
    "accumulation_drops_the_last_group",
    "accumulation_not_divided",
    "best_weights_not_copied",
    "conversion_dropped",
    "no_step_taken",
    "same_draws_each_epoch",
    "step_never_called",
    "validation_keeps_graphs",
    "validation_trains",
]

ENOUGH = 3  # times in a row that make a habit
KEPT = 5  # graphs of an evaluation that no sound loop keeps at a time


@rule(
    severity="error",
    title="the result of a conversion is thrown away: Tensor.to does not work in place",
    fix="- x.to(device)\n+ x = x.to(device)",
    born="conversion_dropped",
    causes=("inputs-of-wrong-type", "inputs-on-another-device", "tensors-on-two-devices"),
)
def conversion_dropped(record: Record) -> Sign | None:
    """Find conversions of tensors whose result nobody takes.

    ``Tensor.to`` and its kin give back a new tensor and leave the old one as it is. Only modules
    are converted in place. What follows works with the tensor that was not converted.
    """
    if not record.habits.dropped:
        return None
    first = record.habits.dropped[0]
    return Sign(f"what Tensor.{first.function} gave back was thrown away", first.where)


@rule(
    severity="error",
    title="the best weights are kept without a copy",
    fix="- best = model.state_dict()\n+ best = copy.deepcopy(model.state_dict())",
    born="best_model_kept_by_reference",
)
def best_weights_not_copied(record: Record) -> Sign | None:
    """Find weights that are loaded from themselves.

    ``state_dict`` gives the tensors of the network itself, which training goes on to change. What
    is put back at the end is what is there already: the last weights, not the best.
    """
    for event in record.around.of_kind("load"):
        if event.facts["own"] and event.step > 0:
            evidence = (
                f"after {event.step} steps load_state_dict was given the network's own tensors, "
                "which changed with every step"
            )
            return Sign(evidence, event.where)
    return None


@rule(
    severity="error",
    title="the loader gives no batch, so no step is taken",
    fix="- DataLoader(data, batch_size=256, drop_last=True)\n+ DataLoader(data, batch_size=32)",
    born="no_batch_at_all",
)
def no_step_taken(record: Record) -> Sign | None:
    """Find loaders that give nothing.

    A loop over a loader without a batch does nothing and raises nothing: the network stays as it
    was drawn.
    """
    for loader in record.around.loaders.values():
        if loader.passes and not loader.given and loader.batches == 0:
            left_out = " and drop_last=True" if loader.drop_last else ""
            evidence = (
                f"{loader.passes} passes over a loader of {loader.examples} examples with "
                f"batch_size={loader.batch_size}{left_out} gave no batch"
            )
            return Sign(evidence)
    return None


@rule(
    severity="error",
    title="the optimizer's step is never called",
    fix="  loss.backward()\n+ optimizer.step()",
    born="step_left_out",
)
def step_never_called(record: Record) -> Sign | None:
    """Find a loop that computes gradients and takes no step.

    ``backward`` computes gradients and changes no parameter; that is what ``step`` does.
    """
    made = record.optimizers or record.around.of_kind("optimizer")
    changed = any(_differs(record, name) for name in record.initial)
    if record.counts["step"] or not made or record.counts["backward"] < ENOUGH or changed:
        return None
    where = record.backwards[0].where if record.backwards else ""
    return Sign(f"{record.counts['backward']} backward passes and no step", where)


@rule(
    severity="error",
    title="the same random draws are used again and again",
    fix="  torch.manual_seed(0)  # once, before the loop\n  for epoch in range(epochs):\n"
    "-     torch.manual_seed(0)",
    born="seed_set_in_the_loop",
)
def same_draws_each_epoch(record: Record) -> Sign | None:
    """Find seeds that are set again within the loop.

    What is drawn after the same seed is the same: the order of the examples, noise, dropout. Each
    epoch repeats the last, and a loader that draws a part of the data sees the same part.
    """
    redrawn = Counter(record.habits.redrawn)
    for (seed, where), count in redrawn.most_common(1):
        if count >= ENOUGH:
            evidence = (
                f"before {count} steps the generator was set back to seed {seed}, and what was "
                "drawn after it was drawn again"
            )
            return Sign(evidence, where)
    passes = record.habits.passes
    if len(passes) > ENOUGH and len({one.first for one in passes}) == 1 and not passes[0].whole:
        evidence = f"each of {len(passes)} passes over a shuffled loader began with the same batch"
        return Sign(evidence, passes[1].where)
    return None


@rule(
    severity="error",
    title="validation keeps the graphs of its predictions",
    fix="+ with torch.no_grad():\n      predictions.append(model(X))",
    born="validation_that_keeps_graphs",
)
def validation_keeps_graphs(record: Record) -> Sign | None:
    """Find predictions in evaluation mode that are kept with their graphs.

    With gradients on, each prediction keeps all intermediate results for a backward pass that
    never comes: memory grows with every batch.
    """
    alive, seen, where = record.habits.kept
    if alive < KEPT or alive < seen:
        return None
    return Sign(f"{alive} predictions in evaluation mode were kept with their graphs", where)


@rule(
    severity="error",
    title="the optimizer also takes steps in validation",
    fix="  if training:\n+     loss.backward()\n+     optimizer.step()",
    born="validation_that_trains",
    causes=("training-in-evaluation-mode",),
)
def validation_trains(record: Record) -> Sign | None:
    """Find steps in evaluation mode that take turns with steps in training mode.

    A network that takes steps on the validation examples has learned them: what is measured on
    them says nothing about new ones.
    """
    modes = record.habits.modes
    returns = sum(modes[i] and not modes[i - 1] for i in range(1, len(modes)))
    if modes.count(False) < ENOUGH or not returns or not modes[0]:
        return None
    evidence = (
        f"{modes.count(False)} of {len(modes)} steps were made in evaluation mode, and training "
        f"mode was set again {returns} times"
    )
    return Sign(evidence, record.step_line)


@rule(
    severity="warning",
    title="accumulated gradients are not divided by the number of batches",
    fix="- loss.backward()\n+ (loss / accumulate).backward()",
    born="accumulation_without_dividing",
)
def accumulation_not_divided(record: Record) -> Sign | None:
    """Find gradients that are added up over batches and not divided by their number.

    ``backward`` adds gradients. Those of k batches are k times as large as their mean: the rate is
    k times the one that was meant.
    """
    batches = _accumulated(record)
    if batches < 2 or outcome_of(record).healthy:
        return None

    def divided(trial: Trial) -> None:
        trial.scale = 1 / batches

    found = compare(record, divided)
    if found is None or not found.wins:
        return None
    evidence = (
        f"the gradients of {batches} batches made each step; divided by {batches}, the loss after "
        f"the same steps is {found.repaired:.3g} instead of {found.as_is:.3g}"
    )
    return Sign(evidence, record.step_line)


@rule(
    severity="error",
    title="the last batches of each epoch never make a step",
    fix="- if number % 4 == 0:\n+ if number % 4 == 0 or number == len(loader):",
    born="accumulation_that_drops_the_last_group",
)
def accumulation_drops_the_last_group(record: Record) -> Sign | None:
    """Find groups of batches that are left over when an epoch ends.

    Gradients are added up over several batches. What is left when the epoch ends is fewer, makes
    no step, and is cleared: these examples are never learned from, the same ones where the order
    is fixed.
    """
    batches = _accumulated(record)
    lost = [(count, where) for count, where in record.habits.cleared if 0 < count < batches]
    if batches < 2 or len(lost) < 2:
        return None
    evidence = (
        f"{batches} batches make a step; {len(lost)} times the gradients of {lost[0][0]} more "
        "batches were cleared without a step"
    )
    return Sign(evidence, lost[0][1])


def _accumulated(record: Record) -> int:
    """Return how many passes of the same kind make a step, if nearly all steps are made so."""
    groups = Counter(record.habits.groups)
    if not groups or len(record.optimizers) != 1:
        return 0
    batches, count = groups.most_common(1)[0]
    kinds = {tuple((e.name, e.where) for e in tape.entries) for tape in record.tapes if tape.whole}
    return batches if count >= 0.7 * sum(groups.values()) and len(kinds) == 1 else 0


def _differs(record: Record, name: str) -> bool:
    """Tell whether a parameter of a network is not what it was when watching began."""
    initial = record.initial[name]
    return any(
        key in initial and not p.equal(initial[key])
        for key, p in record.models[name].named_parameters()
        if p.shape == (initial[key].shape if key in initial else None)
    )
