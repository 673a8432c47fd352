"""Rules about validation: whether it asks what training has not told, in the same language."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.doctor.experiments import copied
from dlbook.doctor.outcomes import outcome_of
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.samples import Samples, first_line, samples_of

__all__ = [
    "labels_unrelated_to_inputs",
    "validation_overlaps_training",
    "validation_scaled_otherwise",
]

SMALL = 8  # rows: smaller batches tell too little
MIXED = (0.02, 0.98)  # share of a batch that was trained on, if the batch is neither old nor new
FEW_VALUES = 20  # in every column: a table of codes, in which rows are alike by nature
FAR = 3.0  # standard deviations of the training rows, or times as wide
CLASSIFYING = ("cross_entropy", "nll_loss", "binary_cross_entropy", "multi_margin_loss")
CHANCE = 4.0  # standard errors of a correlation where there is none
CLEARLY = 0.15  # points of accuracy, or of the variance that is explained


@rule(
    severity="error",
    title="validation and training share examples",
    fix="- train, valid = draw(data), draw(data)\n"
    "+ order = torch.randperm(len(data))  # one draw, cut in two\n"
    "+ train, valid = order[:n], order[n:]",
    born="validation_overlaps_training",
)
def validation_overlaps_training(record: Record) -> Sign | None:
    """Find examples that are both trained on and asked for in validation.

    What a network has been trained on it may have learned by heart: an accuracy on such examples
    says nothing about new ones.
    """
    name = next(iter(record.habits.rows), "")
    rows, asked = record.habits.rows.get(name, []), record.habits.asked.get(name, [])
    samples = samples_of(record)
    if not rows or not asked or samples is None or not samples.measured:
        return None  # rows of codes are alike by nature
    trained = _rounded(torch.cat(rows))
    known = torch.unique(trained)
    new = _rounded(torch.cat(asked))
    if len(known) < SMALL or _alike_by_nature(record):
        return None
    asks_for_all = float(torch.isin(known, torch.unique(new)).double().mean()) > 0.9
    if asks_for_all and not record.validation_given:
        return None  # the training examples themselves are asked for
    parts = [_rounded(one) for one in asked if len(one) >= SMALL]
    shares = [float(torch.isin(part, known).double().mean()) for part in parts]
    if not shares:
        return None
    low, high = MIXED
    shared = [share for share in shares if share > low]
    mixed = [share for share in shared if share < high]
    repeated = any(len(torch.unique(_rounded(one))) < len(one) for one in rows)
    if record.validation_given or len(mixed) >= len(shares) / 2:
        told = shared
    else:
        told = [share for share in shared if share >= high and repeated]
    if not told:
        return None
    evidence = (
        f"in {len(told)} of {len(shares)} batches of the evaluation, {sum(told) / len(told):.0%} "
        "of the rows are rows that were trained on"
    )
    return Sign(evidence, first_line(record.evaluations))


@rule(
    severity="warning",
    title="the validation inputs are not prepared as the training inputs are",
    fix="- model(X_valid)\n+ model((X_valid - mean) / std)  # with the training set's mean and std",
    born="validation_scaled_otherwise",
    causes=("overfitting",),
)
def validation_scaled_otherwise(record: Record) -> Sign | None:
    """Find validation inputs that are scaled otherwise than those of the training.

    A network knows only the units that it was trained in. The same records in other units are
    strangers to it.
    """
    trained, asked = samples_of(record), samples_of(record, evaluations=True)
    if trained is None or asked is None or trained.X.shape[1:] != asked.X.shape[1:]:
        return None
    if len(asked.X) < SMALL or len(trained.X) < SMALL or not asked.Y.numel():
        return None
    mean, std = trained.X.mean(0), trained.X.std(0)
    used = std > 0
    wide, shift = asked.X.std(0)[used] / std[used], (asked.X.mean(0) - mean)[used] / std[used]
    far = (wide > FAR) | (wide < 1 / FAR) | (shift.abs() > FAR)
    if not len(far) or float(far.double().mean()) < 0.8:
        return None
    own = asked.X.std(0).clamp(min=1e-12)
    mapped = torch.where(used, (asked.X - asked.X.mean(0)) / own * std + mean, asked.X)
    as_is, prepared = _score(record, asked.X, asked), _score(record, mapped, asked)
    if as_is is None or prepared is None or prepared < as_is + CLEARLY:
        return None
    evidence = (
        f"in {float(far.double().mean()):.0%} of the columns the inputs of the evaluation have "
        f"another size or place; brought to those of the training, their score is {prepared:.2f} "
        f"instead of {as_is:.2f}"
    )
    return Sign(evidence, first_line(record.evaluations))


@rule(
    severity="warning",
    title="the inputs say nothing about the labels: they may be shuffled against each other, or "
    "not be the inputs that were meant",
    fix="  order = torch.randperm(len(X))\n- X, y = X[order], y[torch.randperm(len(y))]\n"
    "+ X, y = X[order], y[order]  # and see which variable the network is given",
    born="labels_shuffled_against_rows",
    causes=("overfitting", "too-little-capacity"),
)
def labels_unrelated_to_inputs(record: Record) -> Sign | None:
    """Find labels that nothing in the inputs tells.

    Where rows and labels were put in different orders, or another variable is given to the
    network, there is nothing to be learned: neither the network nor its neighbors in the data
    answer better than always the same.
    """
    samples = samples_of(record)
    if samples is None or samples.labels is None or samples.X.shape[1] > 5_000:
        return None
    classifies = any(e.name.startswith(CLASSIFYING) for t in record.tapes for e in t.entries)
    if not samples.measured or not classifies:
        return None  # codes are not nearer to one another or farther
    rows, first = torch.unique(samples.X, dim=0, return_inverse=True)
    place = torch.full((len(rows),), len(first))
    place = place.scatter_reduce(0, first, torch.arange(len(first)), "amin")
    X, y = samples.X[place][:2_000], samples.labels[place][:2_000]
    if len(X) < 200 or len(torch.unique(y)) < 2 or not bool(X.isfinite().all()):
        return None
    if outcome_of(record).healthy and not _chance(record):
        return None
    least = CHANCE / len(X) ** 0.5
    found = max(_by_neighbors(X, y), _by_lines(X, y))
    if found > least:
        return None
    evidence = (
        f"among {len(X)} inputs, what the nearest others or a linear map say of a label has a "
        f"correlation of {found:.2f} with it; chance alone reaches {least:.2f}"
    )
    return Sign(evidence, first_line(record.tapes))


def _rounded(rows: Tensor) -> Tensor:
    """Make rows equal that only the order of adding up tells apart."""
    return (rows * 1e6).round()


def _alike_by_nature(record: Record) -> bool:
    """Tell whether inputs hold so few values that many rows are the same by themselves."""
    samples = samples_of(record)
    if samples is None or samples.X.shape[1] > 100:
        return False
    X = samples.X[:5_000]
    few = all(len(torch.unique(column)) <= FEW_VALUES for column in X.T)
    return few and len(torch.unique(X, dim=0)) < 0.98 * len(X)


def _score(record: Record, X: Tensor, asked: Samples) -> float | None:
    """Return accuracy or explained variance of the network, as it is now, on these inputs."""
    tape = record.evaluations[0]
    name = tape.networks[0].name
    given = [tape.given[slot] for slot in tape.networks[0].refs if slot in tape.given]
    try:
        network = copied({name: record.models[name]}, {})[name].eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            Z = network(X.reshape(len(X), *given[0].shape[1:]).to(given[0].dtype))
    except Exception:  # the network is not to be had alone
        return None
    if not isinstance(Z, Tensor) or len(Z) != len(X):
        return None
    if asked.labels is not None and Z.dim() == 2 and Z.shape[1] > 1:
        return float((Z.argmax(1) == asked.labels).double().mean())
    if asked.labels is not None and Z.numel() == len(X) and int(asked.labels.max()) <= 1:
        return float(((Z.flatten() > 0) == asked.labels.bool()).double().mean())
    if Z.numel() != asked.Y.numel():
        return None
    left = (Z.reshape(asked.Y.shape) - asked.Y).square().mean()
    return 1 - float(left / asked.Y.var().clamp(min=1e-12))


def _chance(record: Record) -> bool:
    """Tell whether validation went no better than always the same answer."""
    asked = samples_of(record, evaluations=True)
    if asked is None or asked.labels is None or len(asked.X) < 50:
        return False
    score = _score(record, asked.X, asked)
    share = float(torch.bincount(asked.labels.clamp(min=0)).max() / len(asked.labels))
    return score is not None and score < share + 3 * (share * (1 - share) / len(asked.X)) ** 0.5


def _by_neighbors(X: Tensor, y: Tensor, k: int = 5) -> float:
    """Return how well the labels of the nearest other rows tell a row's own."""
    scaled = (X - X.mean(0)) / X.std(0).clamp(min=1e-12)
    apart = torch.cdist(scaled, scaled).fill_diagonal_(float("inf"))
    Y = nn.functional.one_hot(y.clamp(min=0)).to(X.dtype)
    return _correlation(Y[apart.topk(k, largest=False).indices].mean(1), Y)


def _by_lines(X: Tensor, y: Tensor) -> float:
    """Return how well a linear map tells the labels of the odd rows, fitted to the even ones."""
    A = torch.cat([(X - X.mean(0)) / X.std(0).clamp(min=1e-12), torch.ones(len(X), 1)], 1)
    Y = nn.functional.one_hot(y.clamp(min=0)).to(A.dtype)
    penalty = 1e-2 * len(A) * torch.eye(A.shape[1], dtype=A.dtype)
    W = torch.linalg.solve(A[::2].T @ A[::2] + penalty, A[::2].T @ Y[::2])
    return _correlation(A[1::2] @ W, Y[1::2])


def _correlation(said: Tensor, Y: Tensor) -> float:
    """Return the largest correlation of what is said of a class with whether it is the one."""
    said, Y = said - said.mean(0), Y - Y.mean(0)
    sizes = (said.norm(dim=0) * Y.norm(dim=0)).clamp(min=1e-12)
    return float(((said * Y).sum(0) / sizes).max())
