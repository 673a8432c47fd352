"""The doctor knows how targets should meet predictions, in whatever style a program is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from dlbook.doctor.rules import classes, padding, targets
from tests.judged import batches, descend, judged, mlp

CODES = [name.replace("_", "-") for name in (*targets.__all__, *padding.__all__, *classes.__all__)]
Program = Callable[[], object]
Loss = Callable[[Tensor, Tensor], Tensor]


def fit(loss_of: Loss, *, column: bool = False, epochs: int = 10) -> None:
    X = torch.randn(320, 5)
    y = X.sum(1, keepdim=column) + 0.1 * torch.randn(320, *[1] * column)
    model = mlp(5, 16, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, wanted in batches(X, y, epochs=epochs):
        descend(optimizer, loss_of(model(inputs), wanted))


class Mean(nn.Module):
    """A loss of the reader's own."""

    def forward(self, predictions: Tensor, wanted: Tensor) -> Tensor:
        error = wanted - predictions
        return torch.mean(torch.abs(error))


def named(count: int, wide: bool = True) -> tuple[Tensor, Tensor]:
    y = torch.arange(320) % count
    return 3 * torch.randn(count, 6)[y] + (0.5 + wide) * torch.randn(320, 6), y


def accuracy_pairwise() -> None:
    X, y = named(2)
    model = mlp(6, 8, 1)
    optimizer = torch.optim.Adam(model.parameters())
    for inputs, labels in batches(X, y.float()):
        z = model(inputs)
        descend(optimizer, functional.binary_cross_entropy_with_logits(z, labels[:, None]))
        share = ((z > 0) == labels).float().mean()
    assert 0 <= share <= 1


def ranked_in_pairs(z: Tensor, wanted: Tensor) -> Tensor:
    better = (wanted[:, None] > wanted[None, :]).float()
    return functional.binary_cross_entropy_with_logits(z - z.T, better)


def matched(z: Tensor, _: Tensor) -> Tensor:
    drawn = torch.linspace(-2, 2, len(z))  # which of them stands by which does not matter
    return (z - drawn).abs().amin(1).mean() + 0.001 * z.square().mean()


def quantiles(z: Tensor, wanted: Tensor) -> Tensor:
    error = wanted - z * torch.ones(3)
    shares = torch.tensor([0.1, 0.5, 0.9])
    return torch.maximum(shares * error, (shares - 1) * error).mean()


def read_off(axis: int | None, *, while_training: bool = False) -> None:
    X, y = named(32)
    model = mlp(6, 32, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, labels in batches(X, y):
        z = model(inputs)
        descend(optimizer, cross_entropy(z, labels))
        if while_training:
            (z.argmax(axis) == labels).float().mean()
    model.eval()
    with torch.no_grad():
        for inputs, labels in zip(X.split(32), y.split(32), strict=True):
            predicted = torch.softmax(model(inputs), 1).argmax(axis)
            (predicted == labels).sum()


def most_alike() -> None:
    X, y = named(32)
    model = mlp(6, 32, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, labels in batches(X, y):
        descend(optimizer, cross_entropy(model(inputs), labels))
    with torch.no_grad():
        z = model(X)
        best = z.max(dim=0).indices  # the record that is most like each class
        assert (z.max(dim=1).indices == y).any()
        assert len(X[best]) == 32


def images(axis: int) -> None:
    X = torch.randn(96, 3, 5, 5)
    y = X.argmax(1)
    model = nn.Conv2d(3, 5, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for inputs, labels in batches(X, y):
        descend(optimizer, cross_entropy(model(inputs), labels))
    model.eval()
    with torch.no_grad():
        (model(X).argmax(dim=axis) == y).float().mean()


def rare(loss_fn: Callable[[Tensor], Loss], *, apart: float = 1.0, share: float = 0.05) -> None:
    y = (torch.rand(1600) < share).long()
    X = torch.randn(1600, 4) + apart * y[:, None]
    model = mlp(4, 16, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    loss_of = loss_fn(torch.bincount(y).float())
    for inputs, labels in batches(X, y, size=40, epochs=4):
        descend(optimizer, loss_of(model(inputs), labels))
    model.eval()
    with torch.no_grad():
        (model(X).argmax(1) == y).float().mean()


def weighed_by_hand(weights: Tensor) -> Loss:
    return lambda z, y: (cross_entropy(z, y, reduction="none") * weights[y]).mean()


def one_in_twenty(pos_weight: float | None, *, asks: bool = True, apart: float = 1.0) -> None:
    y = (torch.arange(2000) % 20 == 0).float()
    X = torch.randn(2000, 4) + apart * y[:, None]
    model = nn.Sequential(mlp(4, 16, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    weight = None if pos_weight is None else torch.tensor(pos_weight)
    for inputs, labels in batches(X, y, size=50, epochs=4):
        loss = functional.binary_cross_entropy_with_logits(model(inputs), labels, pos_weight=weight)
        descend(optimizer, loss)
    with torch.no_grad():
        p = model(X).sigmoid()
        _ = (p > 0.5).float().mean() if asks else p.log().mean()


def sequences(loss_of: Loss, *, filled: int = 0, same_length: bool = False) -> None:
    lengths = torch.full((200,), 12) if same_length else torch.randint(2, 13, (200,))
    texts = [torch.randint(1, 9, (int(n),)) for n in lengths]
    X = pad_sequence(texts, batch_first=True, padding_value=0)
    Y = pad_sequence([(t + 2) % 4 + 1 for t in texts], batch_first=True, padding_value=filled)
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, tags in batches(X, Y, size=20, epochs=4):
        descend(optimizer, loss_of(model(inputs), tags))


binary_loss = functional.binary_cross_entropy_with_logits


def marked(loss_of: Loss) -> None:
    X = torch.randn(320, 6)
    Y = (X @ torch.randn(6, 4) > 0).float()
    model = mlp(6, 16, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, labels in batches(X, Y):
        descend(optimizer, loss_of(model(inputs), labels))


def by_place(z: Tensor, tags: Tensor) -> Tensor:
    return cross_entropy(z.permute(0, 2, 1), tags)


def with_mask(z: Tensor, tags: Tensor) -> Tensor:
    losses = cross_entropy(z.transpose(1, 2), tags, reduction="none")
    mask = (tags != 0).float()
    return (losses * mask).sum() / mask.sum()


def series(masked: bool) -> None:
    lengths = torch.randint(3, 13, (200,))
    mask = (torch.arange(12) < lengths[:, None]).float()
    X = torch.randn(200, 12, 3) * mask[..., None]
    Y = X.sum(2) * mask
    gru, head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], lr=0.01)
    for inputs, wanted, counts in batches(X, Y, mask, size=20, epochs=4):
        error = (head(gru(inputs)[0])[..., 0] - wanted) ** 2
        loss = (error * counts).sum() / counts.sum() if masked else error.mean()
        descend(optimizer, loss)


def as_quantity(
    X: Tensor, y: Tensor, loss_of: Loss = functional.mse_loss, epochs: int = 12
) -> None:
    model = mlp(X.shape[1], 24, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for inputs, wanted in batches(X, y.float()[:, None], epochs=epochs):
        descend(optimizer, loss_of(model(inputs), wanted))


def ratings() -> tuple[Tensor, Tensor]:
    X = torch.randn(640, 5)
    liked = X.sum(1) + 0.5 * torch.randn(640)
    return X, torch.bucketize(liked, torch.tensor([-2.0, -0.7, 0.7, 2.0])) + 1


def counts() -> tuple[Tensor, Tensor]:
    X = (torch.rand(640, 8) < 0.4).float()
    return X, X.sum(1)


BROKEN: dict[str, tuple[str, Program]] = {
    "a square by hand": (
        "targets-broadcast",
        lambda: fit(lambda z, y: ((z - y) ** 2).mean()),
    ),
    "a distance in a module of one's own": ("targets-broadcast", lambda: fit(Mean())),
    "squeezed predictions, targets in a column": (
        "targets-broadcast",
        lambda: fit(lambda z, y: functional.smooth_l1_loss(z.squeeze(1), y), column=True),
    ),
    "a likelihood by hand": (
        "targets-broadcast",
        lambda: fit(lambda z, y: -torch.distributions.Normal(z, 1.0).log_prob(y).mean()),
    ),
    "an accuracy of a column and a row": ("targets-broadcast", accuracy_pairwise),
    "argmax over the batch in evaluation": (
        "accuracy-over-the-wrong-axis",
        lambda: read_off(0),
    ),
    "argmax over the batch after each step": (
        "accuracy-over-the-wrong-axis",
        lambda: read_off(0, while_training=True),
    ),
    "argmax over all numbers": ("accuracy-over-the-wrong-axis", lambda: read_off(None)),
    "argmax over a side of images": ("accuracy-over-the-wrong-axis", lambda: images(2)),
    "frequencies as weights": (
        "class-weights-the-wrong-way-round",
        lambda: rare(lambda n: nn.CrossEntropyLoss(n / n.sum())),
    ),
    "frequencies as weights of single losses": (
        "class-weights-the-wrong-way-round",
        lambda: rare(lambda n: weighed_by_hand(n / n.mean())),
    ),
    "positives over negatives": (
        "class-weights-the-wrong-way-round",
        lambda: one_in_twenty(1 / 19),
    ),
    "padding in a loss over places": ("padding-counted", lambda: sequences(by_place)),
    "padding with a class of its own": (
        "padding-counted",
        lambda: sequences(lambda z, y: nn.NLLLoss()(z.log_softmax(-1).flatten(0, 1), y.flatten())),
    ),
    "padding in a squared error": ("padding-counted", lambda: series(masked=False)),
    "labels of 1 and 2 for one logit": (
        "targets-outside-0-and-1",
        lambda: fit(lambda z, y: binary_loss(z[:, 0], (y > 0).float() + 1)),
    ),
    "labels of -1 and 1 for one logit": (
        "targets-outside-0-and-1",
        lambda: fit(lambda z, y: nn.BCEWithLogitsLoss()(z, y.sign()), column=True),
    ),
    "several labels in cross-entropy": ("labels-of-several-classes", lambda: marked(cross_entropy)),
    "several labels in CrossEntropyLoss": (
        "labels-of-several-classes",
        lambda: marked(nn.CrossEntropyLoss(reduction="sum")),
    ),
    "targets first": (
        "loss-arguments-swapped",
        lambda: fit(lambda z, y: binary_loss((y > 0).float(), z), column=True),
    ),
    "counts first": (
        "loss-arguments-swapped",
        lambda: fit(lambda z, y: nn.PoissonNLLLoss()(y.abs().round(), z), column=True),
    ),
    "classes as quantities": (
        "squared-error-on-class-ids",
        lambda: as_quantity(*named(7)),
    ),
    "classes as quantities, in a distance by hand": (
        "squared-error-on-class-ids",
        lambda: as_quantity(*named(5), lambda z, y: ((z - y) ** 2).mean()),
    ),
    "a rare class in cross-entropy": (
        "rare-class-ignored",
        lambda: rare(lambda _: nn.CrossEntropyLoss(), apart=0.7),
    ),
    "a rare class behind one output": ("rare-class-ignored", lambda: one_in_twenty(None)),
}
SOUND: dict[str, Program] = {
    "a column and a column": lambda: fit(functional.mse_loss, column=True),
    "a row and a row by hand": lambda: fit(lambda z, y: (z[:, 0] - y).square().mean()),
    "all pairs ranked on purpose": lambda: fit(ranked_in_pairs),
    "all pairs, of which the matching ones count": lambda: fit(
        lambda z, y: (z - y).diagonal().square().mean()
    ),
    "a set matched to a set": lambda: fit(matched),
    "three quantiles of one target": lambda: fit(quantiles, column=True),
    "argmax over the classes": lambda: read_off(1),
    "argmax over the last axis after each step": lambda: read_off(-1, while_training=True),
    "argmax over the classes of images": lambda: images(1),
    "the record most like each class": most_alike,
    "inverse frequencies as weights": lambda: rare(
        lambda n: nn.CrossEntropyLoss(n.sum() / n), apart=0.7
    ),
    "inverse frequencies by hand": lambda: rare(lambda n: weighed_by_hand(n.sum() / n), apart=0.7),
    "negatives over positives": lambda: one_in_twenty(19.0),
    "weights for costs where classes are equally frequent": lambda: rare(
        lambda _: nn.CrossEntropyLoss(torch.tensor([1.0, 3.0])), share=0.45
    ),
    "softened labels for one logit": lambda: fit(
        lambda z, y: binary_loss(z, 0.1 + 0.8 * (y > 0)), column=True
    ),
    "several labels in a binary loss": lambda: marked(binary_loss),
    "shares of classes in cross-entropy": lambda: marked(
        lambda z, y: cross_entropy(z, (y + 0.1) / (y + 0.1).sum(1, keepdim=True))
    ),
    "a distance from targets": lambda: fit(lambda z, y: functional.mse_loss(y, z), column=True),
    "padding ignored": lambda: sequences(
        lambda z, y: cross_entropy(z.flatten(0, 1), y.flatten(), ignore_index=0)
    ),
    "padding marked as none": lambda: sequences(by_place, filled=-100),
    "padding masked by hand": lambda: sequences(with_mask),
    "sequences of one length": lambda: sequences(by_place, same_length=True),
    "series masked by hand": lambda: series(masked=True),
    "ratings": lambda: as_quantity(*ratings()),
    "counts": lambda: as_quantity(*counts()),
    "a rare class that is found": lambda: rare(lambda _: nn.CrossEntropyLoss(), apart=3.0),
    "a rare class that nothing tells apart": lambda: one_in_twenty(None, apart=0.0),
    "a probability of what is rare": lambda: one_in_twenty(None, asks=False),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_fault_written_otherwise_is_named_first(name: str) -> None:
    code, program = BROKEN[name]
    assert judged(program, CODES)[:1] == [code]


@pytest.mark.parametrize("name", SOUND)
def test_what_only_looks_like_a_fault_is_not_accused(name: str) -> None:
    assert judged(SOUND[name], CODES) == []


def test_each_rule_is_tried_on_two_programs_other_than_its_own() -> None:
    tried = [code for code, _ in BROKEN.values()]
    assert all(tried.count(code) >= 2 for code in CODES)
