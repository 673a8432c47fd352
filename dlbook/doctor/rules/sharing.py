"""Rules about what is one and the same where it should be several: networks, and states."""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from dlbook.doctor.experiments import Trial
from dlbook.doctor.probing import batches_at, moved, playable
from dlbook.doctor.races import race, well_learned
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.tape import Tape
from dlbook.doctor.traces import copies_of, trace_of, traces_of

__all__ = ["one_network_several_names", "state_carried_between_sequences"]

ENOUGH = 3  # times that make a habit


@rule(
    severity="error",
    title="several names mean one network: what should be its copies is the same object",
    fix="- members = [network] * 5\n+ members = [make_network() for _ in range(5)]",
    born="ensemble_of_one_network",
    causes=("optimizer-made-in-the-loop", "rate-too-low", "too-little-capacity"),
)
def one_network_several_names(record: Record) -> Sign | None:
    """Find members of an ensemble, or layers of a stack, that are one object.

    ``[network] * 5`` is a list with the same object five times, and ``copy = network`` a second
    name for it. What is trained under one name is changed under all, and members that agree in
    every digit are one.
    """
    return _asked_again(record) or _trained_again(record) or _stacked(record)


def _asked_again(record: Record) -> Sign | None:
    """Find a part that a network asks several times for the same thing in one pass."""
    repeated = _repeated(record)
    if not repeated:
        return None
    for trace in traces_of(record)[:1]:
        calls: Counter[tuple[str, tuple[int, ...]]] = Counter()
        for call in trace.calls:
            given = tuple(id(t) for t in call.tensors if not isinstance(t, nn.Parameter))
            if call.name in ("linear", "conv1d", "conv2d", "embedding", "gru", "lstm"):
                calls[call.module, given] += 1
        for names, _ in repeated:
            for (module, _), count in calls.items():
                within = any(module == n or module.startswith(f"{n}.") for n in names)
                if count == len(names) and within:
                    evidence = f"{', '.join(names)} are one object, given the same {count} times"
                    return Sign(evidence, names[0])
    return None


def _trained_again(record: Record) -> Sign | None:
    """Find optimizers for each member of an ensemble that hold the same parameters."""
    made = defaultdict(list)
    for event in record.around.of_kind("optimizer"):
        made[event.facts["held"]].append(event)
    for events in made.values():
        lines = {event.where for event in events}
        if len(events) < 2 or len(lines) > 1:
            continue
        settings = [event.facts["settings"] for event in events]
        alike = all(repr(one) == repr(settings[0]) for one in settings)
        at_once = all(event.step == events[0].step for event in events)
        stepped = {step.optimizer for step in record.steps}
        if alike and at_once and len(stepped) == len(events) > 1:
            evidence = f"{len(events)} optimizers, made in one line, hold the same parameters"
            return Sign(evidence, events[0].where)
        count = _answers_alike(record)
        if alike and count >= len(events):
            evidence = (
                f"{len(events)} optimizers, made in one line, held the same parameters one after "
                "the other, and as many answers to the same inputs then agreed in every digit"
            )
            return Sign(evidence, events[0].where)
    return None


def _answers_alike(record: Record) -> int:
    """Count the answers that were put together and are the same in every digit."""
    most = 0
    for tape in record.evaluations:
        for entry in (*tape.entries, *tape.aside):
            if entry.name in ("stack", "cat", "concat"):
                given = tape.tensors(entry)
                alike = [t for t in given if t.shape == given[0].shape and torch.equal(t, given[0])]
                if len(alike) == len(given) >= 2 and len(given) < len(entry.refs):
                    most = max(most, len(entry.refs))
        shapes = [tape.shapes[entry.refs[0]] for entry in tape.networks if entry.refs]
        names = {entry.name for entry in tape.networks}
        slots = {entry.refs[0] for entry in tape.networks if entry.refs}
        if len(names) == 1 and len(slots) == 1:
            most = max(most, len(shapes))
    return most


def _stacked(record: Record) -> Sign | None:
    """Find layers of a stack that are one object, where copies of it learn far better."""
    repeated = [one for one in _repeated(record) if _has_weights(one[1])]
    if not repeated or well_learned(record):
        return None
    found = race(record, "with copies that differ", _untied)
    if found is None or not found.wins:
        return None
    names, _ = repeated[0]
    told = found.told("with layers of their own")
    return Sign(f"{', '.join(names)} are one object; {told}", names[0])


def _repeated(record: Record) -> list[tuple[list[str], nn.Module]]:
    """Return the modules that stand in one container more than once, with their names."""
    return [one for name, model in record.models.items() for one in _repeated_in(name, model)]


def _repeated_in(name: str, model: nn.Module) -> Iterator[tuple[list[str], nn.Module]]:
    for place, container in model.named_modules():
        if not isinstance(container, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            continue
        names = defaultdict(list)
        for own, part in container._modules.items():
            names[id(part)].append(own)
        for own_names in names.values():
            part = container._modules[own_names[0]]
            if len(own_names) > 1 and part is not None and _has_weights(part):
                yield [".".join(filter(None, (name, place, own))) for own in own_names], part


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _untied(trial: Trial) -> None:
    """Give each place of a container a copy of its own, drawn anew."""
    for model in trial.models.values():
        for container in list(model.modules()):
            if not isinstance(container, nn.Sequential | nn.ModuleList | nn.ModuleDict):
                continue
            seen: set[int] = set()
            for own, part in list(container._modules.items()):
                if part is None or not _has_weights(part):
                    continue
                if id(part) in seen:
                    fresh = copy.deepcopy(part)
                    for module in fresh.modules():
                        reset = getattr(module, "reset_parameters", None)
                        if callable(reset):
                            reset()
                    container._modules[own] = fresh
                    trial.optimizer.param_groups[0]["params"].extend(fresh.parameters())
                seen.add(id(part))


@rule(
    severity="error",
    title="the state is carried from one sequence to another that has nothing to do with it",
    fix="- states, state = self.gru(X, self.state)\n+ states, state = self.gru(X)",
    born="state_carried_between_sequences",
    causes=("samples-mixed-across-the-batch", "validation-overlaps-training"),
)
def state_carried_between_sequences(record: Record) -> Sign | None:
    """Find a network that answers the same question otherwise each time it is asked.

    A state that is kept for one long stream makes what is said of a sequence depend on the one
    before it. Where sequences are drawn by chance these have nothing to do with each other.
    """
    tapes = playable(record, most=1)
    if not tapes or not _drawn(record):
        return None
    module = _remembers(record, tapes[0])
    if module is not None:
        evidence = (
            "asked twice for the same in evaluation mode, with the same draws, the network gives "
            f"other answers: it keeps {module}; the same sequences come again behind other ones"
        )
        return Sign(evidence, module)
    return _handed_on(record)


def _remembers(record: Record, tape: Tape) -> str | None:
    """Name what a network kept of the pass before, if that changes what it gives."""
    copies = copies_of(record)
    if copies is None:
        return None
    models, parameters = copies
    for model in models.values():
        model.eval()
    before = _kept(models)
    first, second = (trace_of(tape, models, parameters) for _ in range(2))
    slots = tape.networks[-1].results
    if first is None or second is None or not slots:
        return None
    a, b = first.values[slots[0]], second.values[slots[0]]
    if a.shape != b.shape or not bool(moved(a, b).any()):
        return None
    after = _kept(models)
    changed = [name for name in after if not _alike(before.get(name), after[name])]
    return changed[0] if changed else None


def _kept(models: dict[str, nn.Module]) -> dict[str, Any]:
    """Return the tensors that modules keep beside their parameters, by name."""
    found = {}
    for name, model in models.items():
        for part, module in model.named_modules():
            place = ".".join(filter(None, (name, part))) or type(model).__name__
            plain = {k: v for k, v in vars(module).items() if not k.startswith("_")}
            for own, value in {**plain, **module._buffers}.items():
                if isinstance(value, Tensor | tuple | list):
                    found[f"{place}.{own}"] = tree_map(_copied, value)
    return found


def _copied(leaf: Any) -> Any:
    return leaf.detach().clone() if isinstance(leaf, Tensor) else leaf


def _alike(a: Any, b: Any) -> bool:
    first, second = ([t for t in _leaves(value) if isinstance(t, Tensor)] for value in (a, b))
    pairs = zip(first, second, strict=False)
    return len(first) == len(second) and all(torch.equal(x, y) for x, y in pairs)


def _leaves(value: Any) -> list[Any]:
    return list(torch.utils._pytree.tree_leaves(value))


def _handed_on(record: Record) -> Sign | None:
    """Find a loop that hands a recurrent network the state of the batch before."""
    states = []
    for tape in record.tapes:
        for entry in tape.networks:
            layer = record.models[entry.name]
            rnns = [m for m in layer.modules() if isinstance(m, nn.RNNBase)]
            shapes = [
                tape.given[s]
                for s in entry.refs
                if s in tape.given
                and any(_is_state(tape.given[s], rnn) for rnn in rnns)
                and not _is_first(entry.args, s)
            ]
            if rnns:
                states.append(shapes[0] if shapes else torch.zeros(1))
    carried = [state for state in states if bool(state.any())]
    if len(carried) < ENOUGH or len(carried) < len(states) - 1 or bool(states[0].any()):
        return None
    evidence = (
        f"{len(carried)} of {len(states)} passes began with a state other than zero, and the same "
        "sequences come again behind other ones"
    )
    return Sign(evidence, record.tapes[0].networks[0].where)


def _is_first(args: tuple[Any, ...], slot: int) -> bool:
    return bool(args) and getattr(args[0], "slot", None) == slot


def _is_state(tensor: Tensor, rnn: nn.RNNBase) -> bool:
    layers = rnn.num_layers * (2 if rnn.bidirectional else 1)
    return tensor.dim() == 3 and len(tensor) == layers and tensor.shape[2] == rnn.hidden_size


def _drawn(record: Record) -> bool:
    """Tell whether sequences are drawn by chance: a loader shuffles, or they change company."""
    loaders = list(record.around.loaders.values())
    steps = sum(loader.steps for loader in loaders)
    if steps:
        if sum(loader.given for loader in loaders) < 0.9 * steps:
            return False  # batches are cut into pieces, and the state goes on from one to the next
        return any(loader.shuffles and loader.steps for loader in loaders)
    behind: dict[bytes, set[bytes]] = {}
    again = 0
    for before, now in pairwise(batches_at(record)):
        for old, new in zip(before, now, strict=False):
            again += new in behind
            behind.setdefault(new, set()).add(old)
    others = sum(len(one) > 1 for one in behind.values())
    return again > 0 and others > 0.5 * min(again, len(behind))
