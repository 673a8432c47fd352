"""Rules about parts of a network that the loss depends on and that no gradient reaches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dlbook.doctor.experiments import Trial, own_draws
from dlbook.doctor.probing import playable
from dlbook.doctor.races import race
from dlbook.doctor.record import ParameterFacts, Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.tape import Tape
from dlbook.doctor.traces import SHAPING, Call, Trace, copies_of, trace_of, traces_of

__all__ = ["graph_cut"]

ENOUGH = 3  # passes before anything is said of what no gradient reached
TOLD = {
    "detach": "- code = encoder(x).detach()\n+ code = encoder(x)",
    "data": "- code = encoder(x).data\n+ code = encoder(x)",
    "normal": "- code = distribution.sample()\n+ code = distribution.rsample()",
    "argmax": "- z.argmax(1)\n+ functional.gumbel_softmax(z)  # or a soft choice, z.softmax(1)",
    "numpy": "- torch.from_numpy(x.detach().numpy())\n+ x",
}


@rule(
    severity="error",
    title="the graph is cut: no gradient reaches layers that the loss depends on",
    fix="- code = encoder(x).detach()\n+ code = encoder(x)",
    born="graph_cut_by_detach",
    causes=(
        *("rate-too-low", "stopped-while-falling", "too-little-capacity", "vanishing-gradients"),
        *("rate-too-high", "targets-unscaled", "inputs-ignored", "terms-out-of-scale"),
        "dead-units",
    ),
)
def graph_cut(record: Record) -> Sign | None:
    """Find layers that an optimizer holds, that the loss depends on, and that no gradient reaches.

    ``detach`` gives the values without the graph that made them; a random draw, ``argmax`` and a
    way through NumPy do the same. The backward pass ends there, and what lies in front of it stays
    as it was drawn.
    """
    return _never_reached(record) or _drawn_without_graph(record)


def _never_reached(record: Record) -> Sign | None:
    held = record.in_optimizers
    used = {key for step in record.steps for key, norm in step.gradients.items() if norm}
    out_of_reach = {
        key: facts
        for key, facts in record.parameters.items()
        if facts.parameter.requires_grad
        and key in held
        and not facts.arrivals
        and key not in used
        and facts.parameter.numel()
        and not _changed(record, facts)
    }
    reached = any(facts.arrivals for facts in record.parameters.values())
    if not out_of_reach or not reached or record.counts["backward"] < ENOUGH:
        return None
    for tape in playable(record, most=2):
        sign = _depends(record, tape, out_of_reach)
        if sign is not None:
            return sign
    return _left_aside(record, out_of_reach)


def _changed(record: Record, facts: ParameterFacts) -> bool:
    """Tell whether a parameter is another one than at first, as where it is changed by hand."""
    for name, model in record.models.items():
        first = record.initial.get(name, {})
        for own, p in model.named_parameters():
            if p is facts.parameter and own in first and first[own].shape == p.shape:
                return not torch.equal(first[own], p.detach())
    return False


def _depends(record: Record, tape: Tape, facts: dict[int, ParameterFacts]) -> Sign | None:
    """Tell whether a loss changes with parameters that no gradient reaches."""
    copies = copies_of(record)
    if copies is None:
        return None
    models, parameters = copies
    base = trace_of(tape, models, parameters)
    if base is None or not base.loss.requires_grad:
        return None
    cut = [key for key in facts if key in parameters and _with_graph(base, parameters[key])]
    before = float(base.loss.detach())
    with torch.no_grad(), own_draws(1):
        for key in cut:
            p = parameters[key]
            if p.is_floating_point():
                p += torch.randn_like(p) * (p.std() if p.numel() > 1 else p.abs()).clamp(min=0.1)
    after = trace_of(tape, models, parameters) if cut else None
    if after is None or float(after.loss.detach()) == before:
        return None
    names = [facts[key].name for key in cut]
    call = _where_cut(base)
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    evidence = (
        f"the loss depends on {shown}: drawn anew they make it {float(after.loss.detach()):.4g} "
        f"instead of {before:.4g}; an optimizer holds them, and in "
        f"{record.counts['backward']} backward passes no gradient reached them"
    )
    if call is None:
        return Sign(evidence, names[0])
    fix = TOLD.get(call.name, "")
    return Sign(f"{evidence}; {call.name} cuts the graph", call.where or call.module, fix)


def _with_graph(trace: Trace, p: Tensor) -> bool:
    """Tell whether what is computed with a parameter has a graph at first."""
    users = [call for call in trace.calls if any(t is p for t in call.tensors)]
    return any(t.requires_grad for call in users for t in call.results)


def _where_cut(trace: Trace) -> Call | None:
    """Return the call that was given a tensor with a graph and gave one without."""
    found = [
        call
        for call in trace.calls
        if any(t.requires_grad for t in call.tensors)
        and not any(t.requires_grad for t in call.results)
    ]
    named = [call for call in found if call.name in TOLD]
    return next(iter(named or found), None)


def _left_aside(record: Record, facts: dict[int, ParameterFacts]) -> Sign | None:
    """Find a network that is trained and whose outputs leave PyTorch before the loss."""
    for name, model in record.models.items():
        own = [p for p in model.parameters() if p.requires_grad]
        calls = record.forwards.get((name, True, True))
        if not own or calls is None or calls.count < record.counts["backward"]:
            continue
        if not all(id(p) in facts for p in own):
            continue
        if any(entry.name == name for tape in record.tapes for entry in tape.networks):
            continue
        evidence = (
            f"network {name or '0'} was called {calls.count} times in training mode and an "
            f"optimizer holds its parameters, and in {record.counts['backward']} backward passes "
            "no gradient reached any of them: nothing with a graph came of its outputs"
        )
        return Sign(evidence, calls.where, TOLD["numpy"])
    return None


def _drawn_without_graph(record: Record) -> Sign | None:
    """Find a normal draw through which nothing is learned, and much would be with a graph."""
    for trace in traces_of(record)[:1]:
        for call in trace.calls:
            if call.name != "normal" or not any(_had_graph(trace, t) for t in call.tensors):
                continue
            found = race(record, "draws with a graph", _reparametrized)
            if found is None or not found.wins:
                return None
            evidence = (
                "a draw from a normal distribution is given to the next network without a graph; "
                f"{found.told('with the draw computed from mean and standard deviation')}"
            )
            return Sign(evidence, call.where or call.module, TOLD["normal"])
    return None


def _had_graph(trace: Trace, tensor: Tensor) -> bool:
    """Tell whether a tensor comes from one with a graph, changes of shape aside."""
    before = None
    while not tensor.requires_grad:
        call = trace.maker(tensor, before)
        if call is None or call.name not in SHAPING or not call.tensors:
            return False
        tensor, before = call.tensors[0], call.number
    return True


def _reparametrized(trial: Trial) -> None:
    def loss(tape: Tape) -> Tensor:
        with _Drawing():
            return Trial.loss(trial, tape)

    trial.loss = loss  # type: ignore[method-assign]


class _Drawing(TorchFunctionMode):
    """Computes normal draws from mean and standard deviation, with a graph."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, or what it stands for."""
        name = getattr(func, "__name__", "")
        if name == "normal" and len(args) >= 2 and isinstance(args[0], Tensor):
            with torch.enable_grad():
                mean, std = args[:2]
                return mean + std * torch.randn_like(mean)
        if name in ("expand", "expand_as", "broadcast_to"):
            with torch.enable_grad():
                return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))
