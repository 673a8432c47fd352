"""Rules about the loop itself: what must come before what."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule

__all__ = [
    "backward_never_called",
    "evaluation_in_training_mode",
    "gradients_cleared_before_step",
    "gradients_not_cleared",
    "graphs_kept",
    "parameters_not_in_optimizer",
    "step_before_backward",
    "steps_change_nothing",
    "training_in_evaluation_mode",
]

ENOUGH = 3  # rounds in a row that make a habit
MANY = 10  # graphs that no sound loop keeps at a time


@rule(
    severity="error",
    title="gradients are never cleared",
    fix="+ optimizer.zero_grad()\n  loss.backward()\n  optimizer.step()",
    born="gradients_never_cleared",
)
def gradients_not_cleared(record: Record) -> Sign | None:
    """Find gradients that are never cleared.

    ``backward`` adds to what ``grad`` holds. Where nobody clears it, each step follows the sum of
    all gradients since the first, not the gradient of its own batch.
    """
    looked = [facts for facts in record.parameters.values() if facts.cycles >= ENOUGH]
    kept = [facts for facts in looked if facts.kept == facts.cycles]
    if not kept or any(0 < facts.kept < facts.cycles for facts in looked):
        return _cleared_too_rarely(record)
    facts = max(kept, key=lambda facts: facts.cycles)
    evidence = (
        f"in {facts.cycles} of {facts.cycles} rounds looked at, the gradient of {facts.name} still "
        "held that of the round before when the next arrived"
    )
    return Sign(evidence, record.step_line)


def _cleared_too_rarely(record: Record) -> Sign | None:
    """Find steps that are made again from gradients which steps before have used."""
    looked = [facts for facts in record.parameters.values() if facts.cycles >= 2 * ENOUGH]
    kept = [facts for facts in looked if facts.kept >= max(ENOUGH, 0.75 * facts.cycles)]
    if not kept or len(record.optimizers) != 1 or not record.habits.clearings:
        return None
    facts = max(kept, key=lambda facts: facts.kept)
    evidence = (
        f"in {facts.kept} of {facts.cycles} rounds looked at, the gradient of {facts.name} was "
        f"added to one that a step had used; zero_grad was called {record.habits.clearings} times "
        f"in {record.counts['step']} steps"
    )
    return Sign(evidence, record.step_line, title="gradients are cleared too rarely")


@rule(
    severity="error",
    title="gradients are cleared between backward and step",
    fix="+ optimizer.zero_grad()\n  loss.backward()\n- optimizer.zero_grad()\n  optimizer.step()",
    born="gradients_cleared_before_step",
    causes=("steps-change-nothing",),
)
def gradients_cleared_before_step(record: Record) -> Sign | None:
    """Find gradients that are cleared before they are used.

    The optimizer finds no gradient, or zeros, and leaves every parameter as it is.
    """
    facts = [step for step in record.steps if step.arrived]
    outside = _step_outside_the_loop(record)
    if outside is not None:
        return outside
    if len(facts) < ENOUGH or any(step.missing + step.zero < step.held for step in facts):
        return None
    if _steps_after(record, "forward") > _steps_after(record, "backward"):
        return None
    evidence = f"gradients had arrived before each of {len(facts)} steps, and none was left for it"
    return Sign(evidence, record.step_line)


def _step_outside_the_loop(record: Record) -> Sign | None:
    """Find gradients of which most are cleared before any step has seen them."""
    lost = sum(count for count, _ in record.habits.cleared)
    used = sum(record.habits.groups)
    held = record.in_optimizers
    others = any(
        key not in held and key not in record.parameters
        for backward in record.backwards
        for key in backward.graph.parameters
    )
    if not used or lost < max(MANY, 3 * used) or len(record.optimizers) != 1 or others:
        return None
    evidence = (
        f"the gradients of {lost} backward passes were cleared before any step had used them; "
        f"{used} were used, in {record.counts['step']} steps"
    )
    title = "most gradients are cleared without a step: the step stands outside the loop"
    fix = "  for X, y in loader:\n      ...\n      loss.backward()\n+     optimizer.step()"
    return Sign(evidence, record.step_line, fix, title)


@rule(
    severity="error",
    title="the step comes before the backward pass",
    fix="- optimizer.step()\n  loss.backward()\n+ optimizer.step()",
    born="step_before_backward",
    causes=("steps-change-nothing",),
)
def step_before_backward(record: Record) -> Sign | None:
    """Find steps that are made before the gradients are there.

    The gradients of one round are cleared at the start of the next, before any step has seen them.
    """
    early = [step for step in record.steps if step.missing + step.zero == step.held]
    rounds = _steps_after(record, "forward")
    if len(early) < ENOUGH or rounds < ENOUGH or _steps_after(record, "backward"):
        return None
    if not record.counts["backward"] or len(early) < len(record.steps):
        return None
    evidence = f"{rounds} steps right after a forward pass, none after a backward pass"
    return Sign(evidence, record.step_line)


@rule(
    severity="error",
    title="backward is never called",
    fix="+ loss.backward()\n  optimizer.step()",
    born="backward_never_called",
    causes=("steps-change-nothing",),
)
def backward_never_called(record: Record) -> Sign | None:
    """Find a loop without a backward pass.

    Without a backward pass no parameter has a gradient, and the optimizer leaves all as it is.
    """
    arrivals = sum(facts.arrivals for facts in record.parameters.values())
    if record.counts["step"] < ENOUGH or record.counts["backward"] or arrivals:
        return None
    if any(step.missing + step.zero < step.held for step in record.steps):
        return None  # gradients were put in place by hand, as from torch.func
    return Sign(
        f"{record.counts['step']} steps, and no backward pass before them", record.step_line
    )


@rule(
    severity="error",
    title="the optimizer does not hold all parameters that learn",
    fix="make the optimizer after the network is complete, of all its parameters",
    born="head_made_after_the_optimizer",
)
def parameters_not_in_optimizer(record: Record) -> Sign | None:
    """Find parameters that learn and are in no optimizer.

    Gradients arrive at these parameters and no optimizer changes them: they stay as they were
    drawn.
    """
    held = record.in_optimizers
    left_out = [
        facts.name for key, facts in record.parameters.items() if facts.arrivals and key not in held
    ]
    if not left_out or record.counts["step"] < ENOUGH:
        return None
    shown = ", ".join(left_out[:3]) + (
        f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
    )
    return Sign(f"gradients arrived at {shown}, which no optimizer holds", record.step_line)


@rule(
    severity="error",
    title="steps change nothing",
    fix="see what the optimizer holds: print(optimizer) and the network's parameters",
    born="optimizer_of_a_copy",
)
def steps_change_nothing(record: Record) -> Sign | None:
    """Find steps that change nothing.

    Rate and gradients are not zero, and yet the parameters are after each step what they were
    before it.
    """
    facts = [step for step in record.steps if step.rate and step.missing + step.zero < step.held]
    if len(facts) < ENOUGH or any(step.changed for step in facts):
        return None
    return Sign(f"{len(facts)} of {len(facts)} steps looked at changed no number", record.step_line)


@rule(
    severity="error",
    title="the network is measured in training mode",
    fix="+ model.eval()\n  with torch.no_grad():\n      ...\n+ model.train()",
    born="evaluation_in_training_mode",
)
def evaluation_in_training_mode(record: Record) -> Sign | None:
    """Find forward passes without gradients in training mode.

    In training mode dropout leaves units out and batch normalization uses, and brings on, the
    statistics of the batch at hand: what is measured is another network than the one to be used.
    """
    for (name, training, with_gradients), call in record.forwards.items():
        kinds = _kinds_with_modes(record.models[name], training=True)
        if name in record.taught or not call.later:
            continue  # a target for the loss, or a trial before the training
        if training and not with_gradients and kinds:
            evidence = f"{call.count} forward passes without gradients in training mode, with "
            return Sign(evidence + " and ".join(kinds), call.where)
    for name, call in record.unused.items():
        kinds = _kinds_with_modes(record.models[name], training=True)
        if kinds and call.count >= ENOUGH:
            evidence = (
                f"{call.count} forward passes in training mode after the last backward, with "
            )
            return Sign(evidence + " and ".join(kinds), call.where)
    return None


@rule(
    severity="error",
    title="training goes on in evaluation mode",
    fix="  for epoch in range(epochs):\n+     model.train()",
    born="train_mode_forgotten",
)
def training_in_evaluation_mode(record: Record) -> Sign | None:
    """Find training that goes on in evaluation mode.

    After ``model.eval()`` dropout does nothing and batch normalization keeps its statistics, also
    in the training that follows.
    """
    for name, model in record.models.items():
        meant = record.forwards.get((name, True, True))
        call = record.forwards.get((name, False, True))
        kinds = _kinds_with_modes(model, training=None)
        if meant and call and kinds and call.count > meant.count:
            evidence = (
                f"{meant.count} forward passes with gradients in training mode, then {call.count} "
                f"in evaluation mode, with {' and '.join(kinds)}"
            )
            return Sign(evidence, call.where)
        if not meant and call and kinds and _set_again(record):
            evidence = (
                f"all {call.count} forward passes with gradients in evaluation mode, which is set "
                f"again and again and never left, with {' and '.join(kinds)}"
            )
            return Sign(evidence, call.where)
    return None


@rule(
    severity="error",
    title="losses are kept with their graphs",
    fix="- total += loss\n+ total += loss.item()",
    born="losses_kept_with_their_graphs",
)
def graphs_kept(record: Record) -> Sign | None:
    """Find losses that are kept with their graphs.

    A loss that is kept keeps the graph that made it, and with it every intermediate result: memory
    grows from step to step.
    """
    alive, seen = record.graphs_kept
    if alive < MANY or alive < 0.9 * seen:
        return None
    return Sign(f"of the first {seen} graphs that backward was called on, {alive} were still alive")


def _set_again(record: Record) -> bool:
    """Tell whether evaluation mode is set between steps, as by who believes it was left."""
    modes = record.around.of_kind("train", "eval")
    last = record.counts["step"]
    again = {event.step for event in modes if event.kind == "eval" and 0 < event.step < last}
    return len(again) >= 2 and not any(event.kind == "train" and event.step for event in modes)


def _steps_after(record: Record, kind: str) -> int:
    """Count the first steps that came right after an event of a kind."""
    return sum(pair == (kind, "step") for pair in pairwise(record.order))


def _kinds_with_modes(model: nn.Module, training: bool | None) -> list[str]:
    """Name the kinds of layers that act otherwise in training mode, if they are in that mode."""
    kinds = {
        type(module).__name__
        for module in model.modules()
        if (isinstance(module, _BatchNorm) or (isinstance(module, _DropoutNd) and module.p > 0))
        and (training is None or module.training is training)
    }
    return sorted(kinds)
