"""Rules about units that can never become different, or never give anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dlbook.doctor.experiments import train, trial_of
from dlbook.doctor.record import ParameterFacts, Record
from dlbook.doctor.rules.rule import Sign, rule

__all__ = ["dead_units", "units_all_alike", "weights_all_zero"]

ENOUGH = 3  # steps before anything is said of what does not move
RECTIFIERS = frozenset({"relu", "relu_", "relu6"})
GATES = (1, 3, 4)  # parts of one matrix: of plain, attention's or GRU, and LSTM layers
SOME = 10  # steps in which units that can become different have become so
FEW = 0.1  # of a layer's units: so few alive at the start that they die of their start
ALIKE = 0.01  # of their size: how far rows may differ that rounding alone made different


@dataclass(frozen=True)
class Matrix:
    """A weight matrix at the start and at the end.

    Parameters
    ----------
    facts : ParameterFacts
        What was seen of it.
    first, last : Tensor
        Its numbers when watching began and as they are now, one row for each unit.
    """

    facts: ParameterFacts
    first: Tensor
    last: Tensor


def matrices(record: Record) -> Iterator[Matrix]:
    """Yield the weight matrices that gradients arrived at, of which the first state is known."""
    if record.counts["step"] < ENOUGH or not any(step.rate for step in record.steps):
        return
    for name, model in record.models.items():
        first = record.initial.get(name, {})
        for module_name, module in model.named_modules():
            if isinstance(module, nn.Embedding | nn.EmbeddingBag):
                continue
            for own, p in module.named_parameters(recurse=False):
                before = first.get(f"{module_name}.{own}".lstrip("."))
                facts = record.parameters.get(id(p))
                if facts is None or before is None or p.dim() < 2 or not p.requires_grad:
                    continue
                if before.shape != p.shape:  # the layer was replaced
                    continue
                if facts.arrivals < ENOUGH or id(p) not in record.in_optimizers:
                    continue
                across = isinstance(module, nn.modules.conv._ConvTransposeNd)
                first_rows, last_rows = (
                    (t.transpose(0, 1) if across else t).flatten(1).detach().float()
                    for t in (before, p)
                )
                yield Matrix(facts, first_rows, last_rows)


@rule(
    severity="error",
    title="weights begin at zero, and no gradient ever moves them",
    fix="- nn.init.zeros_(layer.weight)\n+ leave the weights as PyTorch draws them",
    born="all_weights_zero",
    causes=(
        *("units-all-alike", "dead-units", "vanishing-gradients", "too-little-capacity"),
        *("rate-too-low", "stopped-while-falling"),
    ),
)
def weights_all_zero(record: Record) -> Sign | None:
    """Find matrices that begin at zero and stay there.

    With zeros in front a layer gives the same for every input, and with zeros behind no gradient
    comes back: the network can learn what is frequent, and nothing that depends on its inputs.
    """
    stuck = [m.facts for m in matrices(record) if not m.first.any() and not m.last.any()]
    ids = {id(facts.parameter) for facts in stuck}
    looked = [step for step in record.steps if ids & step.gradients.keys()]
    if not stuck or not looked or any(step.gradients.get(i) for step in looked for i in ids):
        return None
    names = ", ".join(facts.name for facts in stuck[:3])
    evidence = (
        f"{names}: all zero when training began and when it ended; the gradient was zero in each "
        f"of {len(looked)} steps looked at"
    )
    return Sign(evidence, stuck[0].name)


@rule(
    severity="error",
    title="all units of a layer are alike and stay alike",
    fix="- nn.init.constant_(layer.weight, 0.05)\n+ nn.init.normal_(layer.weight, std=0.05)",
    born="all_weights_alike",
    causes=("too-little-capacity", "rate-too-low", "stopped-while-falling", "vanishing-gradients"),
)
def units_all_alike(record: Record) -> Sign | None:
    """Find layers whose units begin alike and never become different.

    Units with equal weights, to which what follows gives equal weights too, get equal gradients,
    step after step. However many there are, they say no more than one.
    """
    for matrix in matrices(record):
        rows, columns = matrix.first.shape
        moved = not torch.equal(matrix.first, matrix.last)
        for gates in GATES:
            units = rows // gates
            if rows % gates or units < 2 or not matrix.first.any():
                continue
            first, last = (m.reshape(gates, units, columns) for m in (matrix.first, matrix.last))
            if not moved or _unlike(first):
                continue
            told, unlike = "when it ended", _unlike(last)
            early = _after_some_steps(record).get(id(matrix.facts.parameter))
            if unlike >= ALIKE and early is not None and early.numel() == last.numel():
                # rounding makes differences, which grow in a long run
                told, unlike = f"{SOME} steps later", _unlike(early.reshape(last.shape))
            if unlike < ALIKE:
                evidence = (
                    f"the {units} rows of {matrix.facts.name} were equal when training began; "
                    f"{told} they differed by {100 * unlike:.2g} % of their size"
                )
                return Sign(evidence, matrix.facts.name)
    return None


def _after_some_steps(record: Record) -> dict[int, Tensor]:
    """Return the weights after a few steps of the same training, by the id of the original."""
    if "after some steps" not in record.cache:
        trial = trial_of(record)
        if trial is not None:
            train(trial, steps=SOME, seed=0)
        found = {} if trial is None else {k: t.detach() for k, t in trial.parameters.items()}
        record.cache["after some steps"] = found
    weights: dict[int, Tensor] = record.cache["after some steps"]
    return weights


def _unlike(rows: Tensor) -> float:
    """Return how far rows of each part are from its first one, by their size."""
    size = rows.norm()
    return float((rows - rows[:, :1]).norm() / size) if size else 0.0


@rule(
    severity="error",
    title="all units of a layer are dead: they give zero for every example",
    fix="begin the biases of hidden layers at zero: nn.init.zeros_(layer.bias)",
    born="dead_units",
    causes=("vanishing-gradients", "too-little-capacity", "rate-too-low", "stopped-while-falling"),
)
def dead_units(record: Record) -> Sign | None:
    """Find layers of ReLU units that are below zero for every example.

    There the derivative of ReLU is zero as well: no gradient passes, nothing in front of them
    learns, and nothing behind them can tell one example from another.
    """
    if record.counts["step"] < ENOUGH:
        return None
    started, ended = (units_of(record, final=final) for final in (False, True))
    for place, layer in ended.items():
        if place not in started or layer.alive or not layer.units:
            continue
        before = started[place]
        if before.alive > FEW * before.units:  # they died in training, of something else
            continue
        evidence = (
            f"of {layer.units} units behind {layer.name}, {before.alive} gave anything but zero "
            f"for some example of {layer.passes} batches when training began, and none at its end"
        )
        return Sign(evidence, layer.name)
    return None


@dataclass
class Layer:
    """The units of one call of ReLU within a network.

    Parameters
    ----------
    name : str
        The layer in front of it.
    passes : int
        How many batches it was seen with.
    seen : Tensor or None
        Which of its numbers were other than zero for some example.
    """

    name: str
    passes: int = 0
    seen: Tensor | None = field(default=None)

    @property
    def units(self) -> int:
        """How many numbers it gives for an example."""
        return 0 if self.seen is None else self.seen.numel()

    @property
    def alive(self) -> int:
        """How many of them were other than zero for some example."""
        return 0 if self.seen is None else int(self.seen.sum())


def units_of(record: Record, *, final: bool) -> dict[tuple[str, int], Layer]:
    """Play the passes that were kept, and see which units give anything.

    Parameters
    ----------
    record : Record
        What was seen.
    final : bool
        Whether with the weights as they are at the end.

    Returns
    -------
    dict of tuple to Layer
        By the network's name and the number of the call within its pass; none where the passes
        cannot be played.
    """
    key = f"units, {final}"
    if key not in record.cache:
        record.cache[key] = _units_of(record, final=final)
    found: dict[tuple[str, int], Layer] = record.cache[key]
    return found


def _units_of(record: Record, *, final: bool) -> dict[tuple[str, int], Layer]:
    trial = trial_of(record)
    if trial is None:
        return {}
    if final:
        for name, model in trial.models.items():
            try:
                model.load_state_dict(record.models[name].state_dict())
            except RuntimeError:  # a layer was replaced
                return {}
    watcher = _Rectifiers(trial.models)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), watcher:
            for tape in trial.tapes:
                trial.loss(tape)
    except (RuntimeError, TypeError, ValueError):
        return {}
    finally:
        watcher.close()
    return watcher.layers


class _Rectifiers(TorchFunctionMode):
    """Looks at what each call of ReLU within a network gives."""

    def __init__(self, models: dict[str, nn.Module]) -> None:
        super().__init__()
        self.layers: dict[tuple[str, int], Layer] = {}
        self._running, self._calls, self._last = "", -1, ""  # no network runs
        self._handles: list[Any] = []
        for name, model in models.items():
            self._handles.append(model.register_forward_pre_hook(self._begins(name)))
            self._handles.append(model.register_forward_hook(self._ends, always_call=True))
            for own, module in model.named_modules():
                if own and any(True for _ in module.parameters(recurse=False)):
                    shown = f"{name}.{own}".lstrip(".")
                    self._handles.append(module.register_forward_pre_hook(self._passes(shown)))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, and look at what a ReLU gives."""
        result = func(*args, **(kwargs or {}))
        if self._calls >= 0 and getattr(func, "__name__", "") in RECTIFIERS:
            self._note(result)
        return result

    def close(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()

    def _begins(self, name: str) -> Any:
        def begins(*_: object) -> None:
            self._running, self._calls, self._last = name, 0, ""

        return begins

    def _ends(self, *_: object) -> None:
        self._calls = -1

    def _passes(self, name: str) -> Any:
        def passes(*_: object) -> None:
            self._last = name

        return passes

    def _note(self, result: Tensor) -> None:
        layer = self.layers.setdefault((self._running, self._calls), Layer(self._last))
        self._calls += 1
        seen = (result != 0).any(0) if result.dim() > 1 else result != 0
        layer.passes += 1
        if layer.seen is None:
            layer.seen = seen
        elif layer.seen.shape == seen.shape:
            layer.seen = layer.seen | seen
        else:  # passes of different lengths are told apart by whether anything came
            layer.seen = (layer.seen.any() | seen.any()).reshape(1)
