"""Rules about how a network is put together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import relu

from dlbook.doctor.between import Between
from dlbook.doctor.experiments import Trial
from dlbook.doctor.races import race, well_learned
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.tape import Tape
from dlbook.doctor.traces import Call, copies_of, traces_of

__all__ = [
    "dropout_without_effect",
    "layer_made_in_forward",
    "layers_frozen_by_a_slip",
    "layers_not_registered",
    "no_nonlinearity",
    "normalization_over_one_number",
]

ENOUGH = 3  # passes in a row that make a habit
SLIPS = ("require_grad", "required_grad", "requires_gradient", "requires_grads", "requiresgrad")


@rule(
    severity="warning",
    title="no nonlinearity between layers: linear layers in a row are one linear layer",
    fix="  nn.Linear(d_in, hidden),\n+ nn.ReLU(),\n  nn.Linear(hidden, d_out),",
    born="no_nonlinearity",
    causes=(
        *("too-little-capacity", "rate-too-low", "rate-too-high", "vanishing-gradients"),
        *("stopped-while-falling", "weights-too-large"),
    ),
)
def no_nonlinearity(record: Record) -> Sign | None:
    """Find layers that follow each other with nothing but sums and scalings in between.

    Two linear maps in a row are one: ``(X W1) W2 = X (W1 W2)``. However many there are, the network
    can draw a plane and nothing else.
    """
    count = 0 if well_learned(record) else _layers_in_a_row(record)
    if not count:
        return None
    found = race(record, "with ReLU between layers in a row", _bent)
    if found is None or not found.wins:
        return None
    told = "layer follows another" if count == 1 else "layers follow others"
    evidence = f"{count} {told} with no activation in between; {found.told('with ReLU in between')}"
    return Sign(evidence, record.tapes[0].networks[0].where if record.tapes else "")


def _layers_in_a_row(record: Record) -> int:
    """Count the layers that are given another one's result, only added up or scaled."""
    tape, copies = next((t for t in record.tapes if t.whole), None), copies_of(record)
    if tape is None or copies is None:
        return 0
    between = Between()
    with suppress(RuntimeError, TypeError, ValueError, KeyError, IndexError), between:
        tape.play(*copies)
    return len(between.pairs)


def _bent(trial: Trial) -> None:
    """Put ReLU between layers that follow each other."""

    def loss(tape: Tape) -> Tensor:
        with Between(relu):
            return Trial.loss(trial, tape)

    trial.loss = loss  # type: ignore[method-assign]


@rule(
    severity="error",
    title="layers are not registered: the optimizer, saving and moving do not know them",
    fix="- self.layers = [nn.Linear(64, 64), nn.Linear(64, 64)]\n"
    "+ self.layers = nn.ModuleList([nn.Linear(64, 64), nn.Linear(64, 64)])",
    born="layers_in_a_plain_list",
    causes=("parameters-not-in-optimizer", "rate-too-low", "stopped-while-falling"),
)
def layers_not_registered(record: Record) -> Sign | None:
    """Find parameters that gradients reach, and that no module and no optimizer knows.

    A module knows the layers that are its attributes, not those in a list or a dictionary. These
    are missing in ``parameters``, so that they never learn, in ``state_dict``, so that they are
    not saved, and in ``to``, so that they stay where they were made.
    """
    passes = _unknown(record)
    if len(passes) < ENOUGH or not all(passes):
        return None
    always = [p for p in passes[0].values() if all(id(p) in others for others in passes)]
    named = [(p, _place_of(record, p)) for p in always]
    found = [(p, place) for p, place in named if place or isinstance(p, nn.Parameter)]
    if not found or (not any(place for _, place in found) and not _sees_all(record)):
        return None
    places = [place for _, place in found if place]
    shapes = ", ".join(str(tuple(p.shape)) for p, _ in found[:3])
    evidence = (
        f"gradients reach {len(found)} tensors, of shapes {shapes}"
        + (" and more" if len(found) > 3 else "")
        + ", which are no module's parameters and in no optimizer"
    )
    return Sign(evidence, places[0] if places else "")


@rule(
    severity="error",
    title="a layer is made anew in each forward pass, with new random weights",
    fix="  def __init__(self):\n+     self.hidden = nn.Linear(288, 32)\n"
    "  def forward(self, X):\n-     hidden = nn.Linear(288, 32)",
    born="layer_made_in_forward",
    causes=(
        *("parameters-not-in-optimizer", "layers-not-registered", "rate-too-low", "rate-too-high"),
        *("stopped-while-falling", "too-little-capacity", "vanishing-gradients"),
    ),
)
def layer_made_in_forward(record: Record) -> Sign | None:
    """Find parameters that are other ones in each pass.

    A layer that ``forward`` makes has new random weights in each pass, and no optimizer ever holds
    them. What the other layers learn to go with it is worthless at the next call.
    """
    held = record.in_optimizers
    passes = [
        {i: p for i, p in b.graph.parameters.items() if i not in held and _is_weight(p)}
        for b in record.backwards
    ]
    first = [frozenset(one) for one in passes[:5]]
    fresh = [one - frozenset().union(*first[:i], *first[i + 1 :]) for i, one in enumerate(first)]
    if len(first) < ENOUGH or not all(fresh):
        return None
    networks = [{id(p) for p in model.parameters()} for model in record.models.values()]
    if any(own and own <= fresh[0] for own in networks):
        return None  # whole networks, such as copies for one task each
    shapes = {tuple(passes[0][i].shape) for i in fresh[0]}
    if not shapes.issubset(tuple(passes[1][i].shape) for i in fresh[1]):
        return None
    told = ", ".join(map(str, sorted(shapes, reverse=True)[:2]))
    evidence = (
        f"in each of {len(first)} passes gradients reached other parameters of the same shapes "
        f"({told}), which no optimizer holds"
    )
    return Sign(evidence, next((c.where for c in record.forwards.values()), ""))


@rule(
    severity="error",
    title="layers stay frozen: requires_grad was set on the module, not on its parameters",
    fix="- body.requires_grad = True\n+ body.requires_grad_(True)",
    born="layer_left_frozen",
    causes=("graph-cut", "stopped-while-falling", "rate-too-low", "too-little-capacity"),
)
def layers_frozen_by_a_slip(record: Record) -> Sign | None:
    """Find ``requires_grad`` set where nobody reads it.

    Only tensors have ``requires_grad``. Set on a module, or under a misspelled name, it is a new
    attribute that nobody reads, and Python does not object: parameters stay as they were.
    """
    for name, model in record.models.items():
        for part, module in model.named_modules():
            place = ".".join(filter(None, (name, part))) or type(module).__name__
            for attribute in ("requires_grad", *SLIPS):
                wanted = module.__dict__.get(attribute)
                others = [p for p in module.parameters() if p.requires_grad is not wanted]
                if isinstance(wanted, bool) and others:
                    return _slip(place, f"{place}.{attribute} = {wanted}", wanted, len(others))
            for own, p in module.named_parameters(recurse=False):
                for attribute in SLIPS:
                    wanted = getattr(p, "__dict__", {}).get(attribute)
                    if isinstance(wanted, bool) and p.requires_grad is not wanted:
                        place = f"{place}.{own}"
                        return _slip(place, f"{place}.{attribute} = {wanted}", wanted, 1)
    return None


@rule(
    severity="error",
    title="dropout has no effect: a recurrent layer drops only between layers, and there is one",
    fix="- nn.LSTM(8, 24, num_layers=1, dropout=0.3)\n+ nn.LSTM(8, 24, num_layers=2, dropout=0.3)",
    born="dropout_without_a_second_layer",
)
def dropout_without_effect(record: Record) -> Sign | None:
    """Find recurrent networks of one layer that are asked for dropout.

    The argument is for what passes from one recurrent layer to the next. One layer has no next,
    and nothing is dropped.
    """
    for place, module in _modules(record):
        if isinstance(module, nn.RNNBase) and module.num_layers == 1 and module.dropout:
            kind = type(module).__name__
            evidence = (
                f"{kind} with num_layers=1 and dropout={module.dropout:g}: nothing is dropped"
            )
            return Sign(evidence, place)
    return None


@rule(
    severity="error",
    title="normalization over one number: what comes out is the same for every example",
    fix="- nn.Linear(32, 1), nn.LayerNorm(1)\n+ nn.Linear(32, 1)",
    born="layer_norm_over_one_number",
    causes=(
        *("dead-units", "weights-all-zero", "vanishing-gradients", "rate-too-low", "graph-cut"),
        *("units-all-alike", "too-little-capacity", "targets-unscaled", "rate-too-high"),
        *("outputs-cannot-reach-targets", "labels-unrelated-to-inputs", "inputs-ignored"),
    ),
)
def normalization_over_one_number(record: Record) -> Sign | None:
    """Find normalizations whose mean is over one number.

    A normalization subtracts from each number the mean of its group. One number is its own mean:
    zero is left, whatever the network computed, and no gradient passes.
    """
    for trace in traces_of(record)[:2]:
        for call in trace.calls:
            numbers = _numbers_in_a_group(call)
            if numbers == 1:
                where = call.module or call.where
                return Sign(f"{call.name} takes the mean over 1 number", where)
    return None


def _numbers_in_a_group(call: Call) -> int:
    """Return over how many numbers a normalization takes its mean; 0 where it is none."""
    given = call.argument(0, "input")
    if not isinstance(given, Tensor):
        return 0
    if call.name == "layer_norm":
        return prod(call.argument(1, "normalized_shape", ()))
    if call.name == "group_norm":
        groups = call.argument(1, "num_groups", 1)
        return int(given.shape[1] // groups * prod(given.shape[2:]))
    return 0


def _unknown(record: Record) -> list[dict[int, Tensor]]:
    """Return what each backward pass reached that no watched module and no optimizer knows."""
    known = record.parameters.keys() | record.in_optimizers
    return [
        {i: p for i, p in b.graph.parameters.items() if i not in known} for b in record.backwards
    ]


def _is_weight(p: Tensor) -> bool:
    return isinstance(p, nn.Parameter)


def _sees_all(record: Record) -> bool:
    """Tell whether all optimizers that were made are watched."""
    held = record.in_optimizers
    made = record.around.of_kind("optimizer")
    return bool(made) and all(event.facts["held"] <= held for event in made)


def _place_of(record: Record, p: Tensor) -> str:
    """Find a tensor among the plain attributes of the watched networks, and in lists of theirs."""
    for place, module in _modules(record):
        for name, value in vars(module).items():
            if name.startswith("_") and name in vars(nn.Module()):
                continue
            found = _within(value, p, depth=3)
            if found is not None:
                return f"{place}.{name}{found}"
    return ""


def _within(value: Any, p: Tensor, depth: int) -> str | None:
    """Return the path from a value to a tensor in it."""
    if value is p:
        return ""
    if isinstance(value, nn.Module):
        return next((f".{n}" for n, own in value.named_parameters() if own is p), None)
    parts: Iterator[tuple[str, Any]] = iter(())
    if isinstance(value, dict):
        parts = ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        parts = ((f"[{i}]", part) for i, part in enumerate(value[:1000]))
    for shown, part in parts if depth else ():
        found = _within(part, p, depth - 1)
        if found is not None:
            return shown + found
    return None


def _modules(record: Record) -> Iterator[tuple[str, nn.Module]]:
    """Yield all modules of the watched networks with names to show."""
    for name, model in record.models.items():
        for part, module in model.named_modules():
            yield ".".join(filter(None, (name, part))) or type(model).__name__, module


def _slip(place: str, told: str, wanted: bool, count: int) -> Sign:
    evidence = f"{told} was set, and {count} parameters there have requires_grad={not wanted}"
    if wanted:
        return Sign(evidence, place)
    title = "layers are not frozen: requires_grad was set on the module, not on its parameters"
    return Sign(
        evidence, place, "- body.requires_grad = False\n+ body.requires_grad_(False)", title
    )
