"""Rules about layers that do not learn because they were told not to."""

from __future__ import annotations

from dlbook.doctor.experiments import Trial
from dlbook.doctor.outcomes import outcome_of
from dlbook.doctor.races import race, well_learned
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule

__all__ = ["layers_frozen_at_random"]

ENOUGH = 50  # steps: after fewer, what is frozen may be meant to thaw later


@rule(
    severity="warning",
    title="a layer is left frozen: its weights stay as they were drawn",
    fix="- for p in model.parameters():\n+ for p in model.backbone.parameters():\n"
    "      p.requires_grad = False",
    born="layer_left_frozen",
    causes=("rate-too-low", "too-little-capacity", "graph-cut"),
)
def layers_frozen_at_random(record: Record) -> Sign | None:
    """Find frozen layers with which the network cannot learn, and without could.

    A layer is frozen to keep what it has learned. One that was drawn and never trained has nothing
    to keep, and passes on what chance makes of its inputs.
    """
    if record.counts["step"] < ENOUGH or len(record.optimizers) != 1:
        return None
    outcome = outcome_of(record)
    if record.around.of_kind("load") or well_learned(record):
        return None
    if outcome.learned and outcome.falling:
        return None  # it learns as it is
    frozen = {
        id(p): f"{name}.{own}".lstrip(".")
        for name, model in record.models.items()
        for own, p in model.named_parameters()
        if not p.requires_grad and p.is_floating_point()
    }
    if not frozen:
        return None

    def thawed(trial: Trial) -> None:
        parts = [part for model in trial.models.values() for part in model.parameters()]
        held = {id(p) for group in trial.optimizer.param_groups for p in group["params"]}
        for p in parts:
            p.requires_grad_(True)
        left_out = [p for p in {id(p): p for p in parts}.values() if id(p) not in held]
        if left_out:
            trial.optimizer.add_param_group({"params": left_out})

    found = race(record, "with nothing frozen", thawed)
    if found is None or not found.wins:
        return None
    names = list(frozen.values())
    evidence = f"{', '.join(names[:3])} of {len(names)} frozen; {found.told('with nothing frozen')}"
    return Sign(evidence, names[0])
