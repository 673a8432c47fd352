"""Rules about gradients that fade, grow or break on their way back."""

from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate
from statistics import median

import torch
from torch import Tensor, nn

from dlbook.doctor.experiments import Cure, Trial, clearly_better, compare
from dlbook.doctor.outcomes import outcome_of
from dlbook.doctor.races import race, well_learned
from dlbook.doctor.record import Record
from dlbook.doctor.replacing import replace_calls
from dlbook.doctor.rules.rates import LOWER, first_that_wins
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.traces import Call, Trace, traces_of

__all__ = ["exploding_gradients", "nan_gradient", "vanishing_gradients", "weights_too_large"]

FADED = 1e-2  # of another layer's gradient, number by number: too little to learn as fast
LEAP = 10  # times its least so far: a loss that leaps
SHORTENS = 0.8  # of its length is left of what passes a recurrent weight, at most
SHARED = 8  # uses of one weight in a pass that make a network recurrent
DEEP = 8  # layers with weights that a gradient must come back through
EARLY = 100  # steps within which a network that began well has learned something
LARGE = 2  # times its size: what a layer that is drawn too large makes of a signal
SINGULAR = {
    "sqrt": ("the square root", "- x.sqrt()\n+ (x + 1e-8).sqrt()"),
    "sqrt_": ("the square root", "- x.sqrt_()\n+ (x + 1e-8).sqrt()"),
    "norm": ("the norm", "- x.norm(dim=1)\n+ (x.square().sum(1) + 1e-8).sqrt()"),
    "std": ("the standard deviation", "- x.std(0)\n+ (x.var(0) + 1e-8).sqrt()"),
    "div": ("the division", "- sums / counts\n+ sums / counts.clamp(min=1)"),
    "pow": ("the power", "- x ** exponent\n+ (x + 1e-8) ** exponent"),
    "log": ("the logarithm", "- x.log()\n+ (x + 1e-8).log()"),
}
NAMES = {"__truediv__": "div", "true_divide": "div", "__pow__": "pow", "vector_norm": "norm"}


@rule(
    severity="error",
    title="the gradient is NaN although the loss is a number",
    fix="make the argument harmless before the operation, not its result afterwards",
    born="square_root_at_zero",
    causes=("loss-not-finite", "rate-too-high", "exploding-gradients"),
)
def nan_gradient(record: Record) -> Sign | None:
    """Find an operation whose gradient is NaN where its value is a number.

    The derivative of the root is infinite at zero, and a division by zero that ``where`` or a mask
    hides is multiplied by zero on the way back: infinity times zero is NaN. A single one in the
    gradient of a shared weight makes the weight NaN, and then all the rest.
    """
    if record.broken is None or not record.broken.parameters:
        return None  # the weights were sound when the loss broke: it broke on the way forward
    for trace in traces_of(record):
        if not bool(trace.loss.isfinite()):
            return None
        call = _where_it_breaks(trace)
        if call is not None:
            kind = NAMES.get(call.name, call.name)
            operation, fix = SINGULAR.get(kind, (call.name, ""))
            where = call.where or call.module
            evidence = (
                f"the loss is {float(trace.loss.detach()):.3g}, what comes back to {operation} is "
                "finite, and what it passes on is not"
            )
            return Sign(evidence, where, fix)
    return None


def _where_it_breaks(trace: Trace) -> Call | None:
    """Return the call that makes a gradient that is not finite of one that is."""
    if not trace.loss.requires_grad:
        return None
    outer = {id(t): t for call in trace.calls for t in call.results if t.requires_grad}
    try:
        found = torch.autograd.grad(
            trace.loss, list(outer.values()), retain_graph=True, allow_unused=True
        )
    except RuntimeError:  # something was changed in place
        return None
    gradients = dict(zip(outer, found, strict=True))
    for call in reversed(trace.calls):
        results = [t for t in call.results if gradients.get(id(t)) is not None]
        given = [t for t in call.tensors if t.requires_grad]
        arriving = [gradients[id(t)] for t in results]
        if not results or not given or not all(_finite(g) for g in arriving):
            continue
        try:
            passed = torch.autograd.grad(
                results, given, arriving, retain_graph=True, allow_unused=True
            )
        except RuntimeError:
            continue
        if not all(_finite(g) for g in passed):
            return call
    return None


def _finite(gradient: Tensor | None) -> bool:
    return gradient is None or bool(gradient.isfinite().all())


@rule(
    severity="warning",
    title="gradients vanish on their way to the first layers",
    fix="- nn.Sigmoid()\n+ nn.ReLU()",
    born="vanishing_gradients",
    causes=("rate-too-low", "stopped-while-falling", "too-little-capacity"),
)
def vanishing_gradients(record: Record) -> Sign | None:
    """Find gradients of which next to nothing is left for some layers.

    Each layer on the way back multiplies the gradient: by the derivative of its activation, which
    is at most 1/4 for the sigmoid, and by its weights. After several factors below 1 the first
    layers do not learn.
    """
    if well_learned(record):
        return None
    sign = _forgets(record)
    sizes = _sizes_of_gradients(record)
    if sign is not None or len(sizes) < 3:
        return sign
    least, most = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    if not 0 < sizes[least] < FADED * sizes[most]:
        return None
    kinds = Counter(node.kind for b in record.backwards[:1] for node in b.graph.nodes)
    cures: dict[str, tuple[Cure, str]] = {}
    if kinds["Sigmoid"] + kinds["Tanh"] >= 2:
        replaced = "nn.Sigmoid()" if kinds["Sigmoid"] >= kinds["Tanh"] else "nn.Tanh()"
        cures["with ReLU between its layers"] = _with_relu, f"- {replaced}\n+ nn.ReLU()"
        cures["with ReLU and weights of He's size"] = (
            _with_relu_drawn_anew,
            f"- {replaced}\n+ nn.ReLU()\n+ nn.init.kaiming_normal_(layer.weight)",
        )
    cures["with weights of He's size"] = _drawn_anew, "+ nn.init.kaiming_normal_(layer.weight)"
    for told, (cure, fix) in cures.items():
        found = race(record, told, cure)
        if found is not None and found.wins:
            evidence = (
                f"in the first steps the gradient of {least} is {sizes[least] / sizes[most]:.1g} "
                f"of that of {most}, number by number; {found.told(told)}"
            )
            return Sign(evidence, least, fix)
    return None


def _forgets(record: Record) -> Sign | None:
    """Find recurrent weights through which each step of a sequence shortens what comes back."""
    names = [
        record.parameters[key].name
        for key, weight in _recurrent(record.models, _used_often(record)).items()
        if key in record.parameters and _stretch(record, key, weight) < SHORTENS
    ]
    if not names or outcome_of(record).learned:
        return None
    often = _used_often(record)

    def orthogonal(trial: Trial) -> None:
        originals = {id(copy): key for key, copy in trial.parameters.items()}
        copies = {id(t) for t in trial.parameters.values() if originals[id(t)] in often}
        for weight in _recurrent(trial.models, copies).values():
            for part in torch.split(weight.detach(), weight.shape[1]):  # one for each gate
                nn.init.orthogonal_(part)

    told = "with orthogonal recurrent weights"
    found = race(record, told, orthogonal)
    if found is None or not found.wins:
        return None
    evidence = f"each step of the sequence shortens what passes {names[0]}; {found.told(told)}"
    return Sign(evidence, names[0], "+ nn.init.orthogonal_(rnn.weight_hh_l0)")


def _recurrent(models: dict[str, nn.Module], often: set[int]) -> dict[int, Tensor]:
    """Return the weights that lead from one step of a sequence to the next, by their ids."""
    found: dict[int, Tensor] = {}
    for model in models.values():
        for part in model.modules():
            for name, p in part.named_parameters(recurse=False):
                square = p.dim() == 2 and p.shape[0] == p.shape[1] and id(p) in often
                if square or (isinstance(part, nn.RNNBase) and name.startswith("weight_hh")):
                    found[id(p)] = p
    return found


def _stretch(record: Record, key: int, weight: Tensor) -> float:
    """Return by how much a weight stretched what it stretched most when training began."""
    for name, model in record.models.items():
        for own, p in model.named_parameters():
            first = record.initial.get(name, {}).get(own)
            if id(p) == key and first is not None:
                return float(torch.linalg.matrix_norm(first.float(), 2))
    return float(torch.linalg.matrix_norm(weight.detach().float(), 2))


def _sizes_of_gradients(record: Record) -> dict[str, float]:
    """Return the size of a number of each weight matrix's gradient in the first steps."""
    found = {}
    for key, facts in record.parameters.items():
        norms = [step.gradients[key] for step in record.steps[:5] if key in step.gradients]
        if facts.parameter.dim() > 1 and norms and all(map(math.isfinite, norms)):
            found[facts.name] = median(norms) / facts.parameter.numel() ** 0.5
    return found


def _with_relu(trial: Trial) -> None:
    replace_calls(trial, ("sigmoid", "sigmoid_", "tanh", "tanh_"), torch.relu, keep_last=True)


def _with_relu_drawn_anew(trial: Trial) -> None:
    _drawn_anew(trial)
    _with_relu(trial)


def _drawn_anew(trial: Trial) -> None:
    generator = torch.Generator().manual_seed(0)
    trial.clip = trial.clip or 1.0  # what keeps its first steps from undoing it
    for weight in _weights(trial.models):
        nn.init.kaiming_normal_(weight, generator=generator)


def _weights(models: dict[str, nn.Module]) -> list[Tensor]:
    """Return the weights of linear layers and convolutions, and matrices of the reader's own."""
    return [
        p
        for model in models.values()
        for part in model.modules()
        if not isinstance(part, nn.Embedding | nn.EmbeddingBag | nn.RNNBase)
        for p in part.parameters(recurse=False)
        if p.dim() > 1
    ]


@rule(
    severity="warning",
    title="the weights begin too large",
    fix="- nn.init.normal_(layer.weight, std=1.0)\n"
    "+ nn.init.normal_(layer.weight, std=layer.in_features ** -0.5)",
    born="weights_too_large",
    causes=("rate-too-high", "vanishing-gradients", "exploding-gradients", "rate-too-low"),
)
def weights_too_large(record: Record) -> Sign | None:
    """Find weights that begin far larger than the root of their inputs' number allows.

    Each layer multiplies the size of its signal by the standard deviation of a weight times the
    root of the number of inputs. Sums that are many times too large drive tanh and softmax to their
    flat ends: the network begins sure of itself, wrong, and slow to change.
    """
    gains = _gains(record)
    constant = outcome_of(record).constant
    if not gains or not record.losses or max(gains.values()) < LARGE or _breaks_at_once(record):
        return None
    first = record.losses[0]
    if math.isfinite(first) and not first > LARGE * constant:
        return None
    found = compare(record, _smaller, steps=min(EARLY, record.counts["step"]))
    if found is None or not found.wins:
        return None
    name, gain = max(gains.items(), key=lambda item: item[1])
    evidence = (
        f"{name} multiplies the size of a signal by {gain:.2g}; the first loss is {first:.3g}, and "
        f"a network that ignores its inputs reaches {constant:.3g}; with all weights divided by "
        f"such factors the loss comes to {found.repaired:.3g}, as it is in as many steps to "
        f"{found.as_is:.3g}"
    )
    return Sign(evidence, name)


def _smaller(trial: Trial) -> None:
    with torch.no_grad():
        for weight in _weights(trial.models):
            weight.div_(max(_gain(weight), 1.0))  # a matrix that is small stays as it is


def _gains(record: Record) -> dict[str, float]:
    """Return by how much each layer multiplied the size of a signal when training began."""
    shown = {key: facts.name for key, facts in record.parameters.items()}
    found = {}
    for name, model in record.models.items():
        first = record.initial.get(name, {})
        own = {id(p): first.get(key) for key, p in model.named_parameters()}
        for weight in _weights({name: model}):
            before = own.get(id(weight))
            if before is not None and bool(before.any()):
                found[shown.get(id(weight), "a weight")] = _gain(before)
    return found


def _gain(weight: Tensor) -> float:
    """Return by how much a weight multiplies the size of a signal, in its more modest direction."""
    outputs = max(weight.shape) if weight.dim() == 2 else weight.shape[0]
    return float(weight.detach().float().norm() / math.sqrt(outputs))


@rule(
    severity="warning",
    title="gradients explode",
    fix="  loss.backward()\n+ nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)\n"
    "  optimizer.step()",
    born="exploding_gradients",
    causes=("rate-too-high", "loss-not-finite", "dead-units", "nan-gradient"),
)
def exploding_gradients(record: Record) -> Sign | None:
    """Find gradients that now and then are so long that one step undoes the training.

    The way back through many steps of a sequence, or through many layers, multiplies by as many
    matrices. As soon as these stretch some direction, gradients along it grow exponentially, and a
    single step of that length throws the weights far away.
    """
    finite = [loss for loss in record.losses if math.isfinite(loss)]
    least = list(accumulate(finite, min))
    leaps = any(later > LEAP * before > 0 for before, later in zip(least, finite[1:], strict=False))
    broke = record.broken is not None
    if record.around.of_kind("clip") and not broke:
        return None  # they are limited already
    if well_learned(record) or not (leaps or broke) or not _long_way_back(record):
        return None
    norms = [math.hypot(*step.gradients.values()) for step in record.steps]
    usual = median([norm for norm in norms if math.isfinite(norm)] or [0.0])
    if _breaks_at_once(record):
        return _grows_on_its_way(record)
    races = {
        limit: race(record, f"clipped to {limit}", _clipped(limit))
        for limit in (usual, usual / 3, usual / 10)
        if limit
    }
    won = {limit: found for limit, found in races.items() if found is not None and found.wins}
    if not won:
        return None
    limit, found = min(won.items(), key=lambda item: item[1].loss)
    slower = first_that_wins(record, LOWER)
    constant = found.made.constant
    if slower is not None and clearly_better(slower[1].loss, found.loss, constant):
        return None
    highest = max(norms, key=lambda norm: norm if math.isfinite(norm) else math.inf)
    evidence = (
        f"the norm of the gradient is {usual:.2g} in the median step and {highest:.2g} in the "
        f"highest looked at; {found.told(f'with gradients clipped to {limit:.2g}')}"
    )
    return Sign(evidence, record.step_line)


def _breaks_at_once(record: Record) -> bool:
    """Tell whether one weight is used many times in a pass, and the first loss is no number."""
    broken = record.broken
    return broken is not None and broken.step == 0 and bool(_used_often(record))


def _grows_on_its_way(record: Record) -> Sign | None:
    def cure(trial: Trial) -> None:
        _smaller(trial)
        trial.clip = trial.clip or 1.0

    gains = _gains(record)
    found = compare(record, cure, steps=min(EARLY, record.counts["step"])) if gains else None
    if found is None or not found.wins:
        return None
    name, gain = max(gains.items(), key=lambda item: item[1])
    evidence = (
        f"the first loss is {record.losses[0]}: {name}, which is used many times in a pass, "
        f"multiplies the size of a signal by {gain:.2g} each time; with it divided by that the "
        f"loss comes to {found.repaired:.3g}"
    )
    return Sign(evidence, name, "+ nn.init.orthogonal_(layer.weight)")


def _clipped(limit: float) -> Cure:
    def cure(trial: Trial) -> None:
        trial.clip = limit

    return cure


def _long_way_back(record: Record) -> bool:
    """Tell whether gradients come back through one weight many times, or through many weights."""
    parts = [part for model in record.models.values() for part in model.modules()]
    if any(isinstance(part, nn.RNNBase) for part in parts):
        return True
    reached = [b.graph.parameters.values() for b in record.backwards[:1]]
    weights = [p for parameters in reached for p in parameters if p.dim() > 1]
    return len(weights) >= DEEP or bool(_used_often(record))


def _used_often(record: Record) -> set[int]:
    """Return the ids of parameters that are used many times in one pass."""
    found = set()
    for backward in record.backwards[:1]:
        nodes = backward.graph.nodes
        users = Counter(id(given) for node in nodes for given in node.inputs)
        found |= {
            id(n.parameter) for n in nodes if n.parameter is not None and users[id(n)] >= SHARED
        }
    return found
