"""Rules about classes: taken for quantities, or so rare that they are not found."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlbook.doctor.experiments import STEPS, Trial, own_draws, train, trial_of
from dlbook.doctor.meetings import Meeting, measured, meetings
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.tape import Entry, Ref, Tape

__all__ = ["rare_class_ignored", "squared_error_on_class_ids"]

FEWEST, MOST = 3, 100  # classes that a column of whole numbers may stand for
FEW = 10  # classes of which each is to be found
RARE = 4.0  # times: as many more examples as this has the most frequent class
CLEARLY = 0.1  # of all records of a class, on the mean over classes
HALF = 0.5
DECIDING = (
    "__gt__",
    "__ge__",
    "__lt__",
    "__le__",
    "gt",
    "ge",
    "lt",
    "le",
    "argmax",
    "max",
    "round",
)


@rule(
    severity="warning",
    title="class numbers are fitted as quantities: squared error where cross-entropy belongs",
    fix="- nn.Linear(width, 1) … mse_loss(model(X), y.float())\n"
    "+ nn.Linear(width, classes) … cross_entropy(model(X), y)",
    born="squared_error_on_class_ids",
    causes=("rate-too-low", "too-little-capacity", "stopped-while-falling", "targets-unscaled"),
)
def squared_error_on_class_ids(record: Record) -> Sign | None:
    """Find numbers of classes that a loss for quantities is given.

    Squared error takes class 8 to be nearer to 7 than to 3, whatever they stand for. Where the
    network hesitates between 3 and 8 it does best with the mean, which is neither.
    """
    found = [m for m in meetings(record) if m.is_distance and _one_number_each(m)]
    if not found or len(found) < len(meetings(record)):
        return None
    labels = torch.cat([meeting.targets.detach().flatten() for meeting in found])
    values = torch.unique(labels)
    classes = len(values)
    whole = torch.equal(values, torch.arange(classes).to(values) + values[0])
    if not whole or not FEWEST <= classes <= MOST or len(labels) < 4 * classes:
        return None
    if values[0] not in (0, 1):
        return None
    as_classes = _as_classes(record, found, classes, float(values[0]))
    as_is = _as_quantities(record, found, {})
    if as_classes is None or as_is is None or as_classes < as_is[0] + CLEARLY:
        return None
    turned = [_as_quantities(record, found, _permutation(values, seed)) for seed in (1, 2)]
    others = [left for result in turned if result is not None for left in result[1:]]
    if not others or as_is[1] < HALF * sum(others) / len(others):
        return None  # their order means something
    evidence = (
        f"the targets are the whole numbers from {values[0]:g} to {values[-1]:g}; numbered in "
        f"another order they are fitted no worse, so that they are names. In an experiment "
        f"{as_is[0]:.0%} of the records were named rightly by rounding, and {as_classes:.0%} with "
        "cross-entropy"
    )
    return Sign(evidence, found[0].call.where)


@rule(
    severity="warning",
    title="the rare class is ignored: most of its records are missed",
    fix="- nn.BCEWithLogitsLoss()\n+ nn.BCEWithLogitsLoss(pos_weight=negatives / positives)\n"
    "or nn.CrossEntropyLoss(weight=counts.sum() / counts); judge by recall, not accuracy",
    born="rare_class_ignored",
    causes=("labels-constant", "too-little-capacity", "rate-too-low"),
)
def rare_class_ignored(record: Record) -> Sign | None:
    """Find a class with few examples that the network hardly ever answers.

    Where classes overlap, the common one is the more likely almost everywhere. A network that
    always answers it is right nearly always, and an unweighted loss asks for no more.
    """
    found = [m for m in meetings(record, final=True) if _names_classes(m)]
    if not found or len(found) < len(meetings(record, final=True)) or _only_probabilities(record):
        return None
    labels = torch.cat([m.targets.detach().flatten().long() for m in found])
    counts = torch.bincount(labels)
    if (counts == 0).any() or not 2 <= len(counts) <= FEW or counts.max() < RARE * counts.min():
        return None
    rare = int(counts.argmin())
    answers = torch.cat([_answers(m.kind, m.predictions) for m in found])
    recalls = _recalls(answers, labels, len(counts))
    if recalls[rare] >= HALF:
        return None
    weights = counts.sum() / counts / len(counts)
    as_is, weighted = (_found_after(record, found, w) for w in (None, weights))
    if as_is is None or weighted is None:
        return None
    gained = float(weighted.mean() - as_is.mean())
    if gained < CLEARLY or weighted[rare] < HALF or as_is[rare] >= HALF:
        return None
    share = float(counts[rare] / counts.sum())
    evidence = (
        f"{share:.1%} of the examples are of class {rare}, and {float(recalls[rare]):.0%} of them "
        f"are found; in an experiment with weighted classes {float(weighted[rare]):.0%} were, and "
        f"the mean over classes rose from {float(as_is.mean()):.0%} to {float(weighted.mean()):.0%}"
    )
    return Sign(evidence, found[0].call.where)


def _one_number_each(meeting: Meeting) -> bool:
    """Tell whether a linear layer gives one number for each record, and targets are whole."""
    predictions, targets, source = meeting.predictions, meeting.targets.detach(), meeting.source
    one = predictions.numel() == targets.numel() == len(targets) if targets.dim() else False
    linear = source is not None and source.name == "linear" and bool(source.module)
    return one and linear and bool((targets == targets.round()).all())


def _names_classes(meeting: Meeting) -> bool:
    """Tell whether a loss is told one class for each record, and weighs all alike."""
    call, targets = meeting.call, meeting.targets
    if call.module or call.argument(2, "weight") is not None:
        return False
    if meeting.kind == "cross_entropy":
        return not targets.is_floating_point() and bool((targets >= 0).all())
    if meeting.kind == "binary_cross_entropy_with_logits":
        one = targets.dim() == 1 or targets.shape[1:].numel() == 1
        binary = bool(((targets == 0) | (targets == 1)).all())
        return one and binary and call.kwargs.get("pos_weight") is None
    return False


def _only_probabilities(record: Record) -> bool:
    """Tell whether outputs were measured, and never turned into an answer."""
    calls = {entry.name for _, entry in measured(record)}
    return bool(calls) and calls.isdisjoint(DECIDING)


def _answers(kind: str, outputs: Tensor) -> Tensor:
    if kind == "cross_entropy":
        return outputs.detach().movedim(1, -1).argmax(-1).flatten()
    return (outputs.detach() > 0).long().flatten()


def _recalls(answers: Tensor, labels: Tensor, classes: int) -> Tensor:
    return torch.stack([(answers == k)[labels == k].float().mean() for k in range(classes)])


def _found_after(record: Record, found: list[Meeting], weights: Tensor | None) -> Tensor | None:
    """Return which share of each class is found after training, with or without weights."""
    trial, places = trial_of(record), _places(found)
    if trial is None or not places:
        return None
    trial.tapes = [place.tape for place in places]
    if weights is not None:
        trial.tapes = [_weighted(place, found[0].kind, weights) for place in places]
    train(trial, steps=2 * STEPS, seed=0)
    outputs = _outputs(trial, places)
    if outputs is None:
        return None
    answers = torch.cat([_answers(found[0].kind, output) for output in outputs])
    labels = torch.cat([place.labels.flatten().long() for place in places])
    return _recalls(answers, labels, int(labels.max()) + 1)


def _weighted(place: _Place, kind: str, weights: Tensor) -> Tape:
    """Give the loss of a tape weights for the classes."""
    entry = place.tape.entries[place.entry]
    extra = {"weight": weights} if kind == "cross_entropy" else {}
    extra = extra or {"pos_weight": weights[1] / weights[0]}
    changed = replace(entry, args=entry.args[:2], kwargs={**entry.kwargs, **extra})
    entries = list(place.tape.entries)
    entries[place.entry] = changed
    return replace(place.tape, entries=entries)


class _Place(NamedTuple):
    """Where predictions and targets stand on a tape, and the entry in which they meet."""

    tape: Tape
    predictions: int
    targets: int
    entry: int

    @property
    def labels(self) -> Tensor:
        """The targets."""
        return self.tape.given[self.targets]

    def with_labels(self, labels: Tensor) -> Tape:
        """Return the tape with other targets."""
        return replace(self.tape, given={**self.tape.given, self.targets: labels})


def _places(found: list[Meeting]) -> list[_Place]:
    """Find the sides of each meeting on its tape; none at all where one was not given to it."""
    places = []
    for meeting in found:
        slots = {id(tensor): slot for slot, tensor in meeting.trace.values.items()}
        sides = [slots.get(id(side), -1) for side in (meeting.predictions, meeting.targets)]
        if sides[0] < 0 or sides[1] not in meeting.trace.tape.given:
            return []
        places.append(_Place(meeting.trace.tape, sides[0], sides[1], meeting.call.entry))
    return places


def _outputs(trial: Trial, places: list[_Place]) -> list[Tensor] | None:
    """Return what the copies give out for each pass, where it meets the targets."""
    try:
        with own_draws(0), torch.no_grad():
            return [
                place.tape.values(
                    trial.models, trial.parameters, entries=place.tape.entries[: place.entry]
                )[place.predictions]
                for place in places
            ]
    except (RuntimeError, TypeError, ValueError, KeyError, IndexError):
        return None


def _permutation(values: Tensor, seed: int) -> dict[float, float]:
    """Return another number for each class."""
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    if torch.equal(order, torch.arange(len(values))):
        order = order.flip(0)
    return dict(zip(values.tolist(), values[order].tolist(), strict=True))


def _as_quantities(
    record: Record, found: list[Meeting], numbers: dict[float, float]
) -> tuple[float, float] | None:
    """Train as the program does, perhaps with other numbers for the classes.

    Returns the share of records that rounding names rightly, and of the variance that is left.
    """
    trial, places = trial_of(record), _places(found)
    if trial is None or not places:
        return None
    targets = [_renumbered(place.labels, numbers) for place in places]
    trial.tapes = [place.with_labels(y) for place, y in zip(places, targets, strict=True)]
    train(trial, steps=2 * STEPS, seed=0)
    outputs = _outputs(trial, places)
    if outputs is None:
        return None
    answers = torch.cat([output.flatten() for output in outputs])
    labels = torch.cat([y.flatten() for y in targets]).to(answers)
    right = float((answers.round() == labels).float().mean())
    return right, float((answers - labels).square().mean() / labels.var())


def _renumbered(labels: Tensor, numbers: dict[float, float]) -> Tensor:
    changed = labels.clone()
    for old, new in numbers.items():
        changed[labels == old] = new
    return changed


def _as_classes(record: Record, found: list[Meeting], classes: int, first: float) -> float | None:
    """Train with an output for each class and cross-entropy; return the share named rightly."""
    trial, places, source = trial_of(record), _places(found), found[0].source
    if trial is None or not places or source is None:
        return None
    old = _module(trial, source.module)
    if not isinstance(old, nn.Linear):
        return None
    with own_draws(0):
        new = nn.Linear(old.in_features, classes).to(old.weight)
    for group in trial.optimizer.param_groups:
        if any(p is old.weight for p in group["params"]):
            kept = [p for p in group["params"] if p is not old.weight and p is not old.bias]
            group["params"] = [*kept, *new.parameters()]
    old.weight, old.bias, old.out_features = new.weight, new.bias, classes

    def ids_of(labels: Tensor) -> Tensor:
        return (labels.flatten() - first).round().long()

    def loss_of(outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(outputs.reshape(labels.numel(), classes), ids_of(labels))

    trial.tapes = []
    for place in places:
        loss = max(place.tape.shapes) + 1
        sides = Ref(place.predictions), Ref(place.targets)
        last = Entry("cross_entropy", loss_of, sides, {}, [loss], "")
        entries = [*place.tape.entries[: place.entry], last]
        trial.tapes.append(replace(place.tape, entries=entries, loss=loss))
    if not math.isfinite(train(trial, steps=2 * STEPS, seed=0)[1]):
        return None
    outputs = _outputs(trial, places)
    if outputs is None:
        return None
    answers = torch.cat([output.reshape(-1, classes).argmax(1) for output in outputs])
    ids = torch.cat([ids_of(place.labels) for place in places])
    return float((answers == ids).float().mean())


def _module(trial: Trial, name: str) -> nn.Module | None:
    """Return a layer by its name in a trace."""
    for root, model in trial.models.items():
        for part, module in model.named_modules():
            if name == (".".join(filter(None, (root, part))) or type(module).__name__):
                found: nn.Module = module
                return found
    return None
