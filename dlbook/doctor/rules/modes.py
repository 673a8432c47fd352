"""Rules about what does not follow the mode of the network."""

from __future__ import annotations

from torch.nn.modules.dropout import _DropoutNd

from dlbook.doctor.probing import play_evaluating, playable
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule

__all__ = ["dropout_in_evaluation"]

DROPOUTS = frozenset(
    {
        *("dropout", "dropout1d", "dropout2d", "dropout3d"),
        *("alpha_dropout", "feature_alpha_dropout", "feature_dropout"),
    }
)


@rule(
    severity="error",
    title="dropout stays on in evaluation mode",
    fix="- x = F.dropout(x, 0.5)\n+ x = F.dropout(x, 0.5, training=self.training)",
    born="evaluation_in_training_mode",
)
def dropout_in_evaluation(record: Record) -> Sign | None:
    """Find dropout that does not know of the mode.

    The function ``dropout`` leaves numbers out unless it is told not to; only the module knows
    whether the network is being trained. What is measured is another network each time.
    """
    evaluated = {
        name for name, training, _ in record.forwards if not training and name in record.models
    }
    kept_on = any(
        isinstance(module, _DropoutNd) and module.training
        for name in evaluated
        for module in record.models[name].modules()
        if not record.models[name].training
    )
    if not evaluated or kept_on:
        return None
    for tape in playable(record, most=1):
        if not {entry.name for entry in tape.networks} & evaluated:
            continue
        trace = play_evaluating(record, tape)
        for call in trace.calls if trace is not None else ():
            on = call.argument(2, "training", True)
            if call.name in DROPOUTS and on and call.argument(1, "p", 0.5) > 0:
                place = f" in {call.module}" if call.module else ""
                return Sign(f"{call.name} was called{place} with training=True in evaluation mode")
    return None
