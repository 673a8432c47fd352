"""The doctor knows what a loss should be given, in whatever style it is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import cross_entropy, nll_loss  # as many programs import them

from dlbook.doctor.rules import cuts, losses
from tests.judged import batches, descend, judged, mlp

CODES = [name.replace("_", "-") for name in (*losses.__all__, *cuts.__all__)]
Program = Callable[[], object]


def classes(count: int = 4) -> tuple[Tensor, Tensor]:
    centers = 3 * torch.randn(count, 5)
    y = torch.randint(count, (320,))
    return centers[y] + torch.randn(320, 5), y


def classify(loss_of: Callable[[Tensor, Tensor], Tensor], count: int = 4) -> None:
    X, y = classes(count)
    model = mlp(5, 16, count)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, labels in batches(X, y):
        descend(optimizer, loss_of(model(inputs), labels))


class Classifier(nn.Module):
    """Ends with what it is given."""

    def __init__(self, end: Callable[[Tensor], Tensor], outputs: int = 4) -> None:
        super().__init__()
        self.first, self.last, self.end = nn.Linear(5, 16), nn.Linear(16, outputs), end

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.end(self.last(self.first(x).tanh()))
        return out


class WithLoss(nn.Module):
    """Gives out its loss, as networks of some libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(5, 16, 4)

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        probabilities = self.body(x).softmax(-1)
        return {"loss": cross_entropy(probabilities, labels), "out": probabilities}


def with_end(end: Callable[[Tensor], Tensor], loss_fn: nn.Module, outputs: int = 4) -> None:
    X, y = classes()
    model = Classifier(end, outputs)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for inputs, labels in batches(X, y):
        whole = isinstance(loss_fn, nn.CrossEntropyLoss | nn.NLLLoss)
        one_hot = functional.one_hot(labels, 4).float()
        descend(optimizer, loss_fn(model(inputs), labels if whole else one_hot))


def loss_within() -> None:
    X, y = classes()
    model = WithLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for inputs, labels in batches(X, y):
        descend(optimizer, model(inputs, labels=labels)["loss"])


def by_hand(log_p: Tensor, labels: Tensor) -> Tensor:
    return -log_p[torch.arange(len(labels)), labels].mean()


def attends_over_time() -> None:
    X = torch.randn(320, 7, 5)
    y = (X.mean(1)[:, 0] > 0).long()

    class Pools(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score, self.last = nn.Linear(5, 1), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            steps = x.transpose(0, 1)  # (time, batch, features), so that axis 0 is time
            shares = self.score(steps).softmax(dim=0)
            return self.last((shares * steps).sum(0))

    model = Pools()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, labels in batches(X, y):
        descend(optimizer, cross_entropy(model(inputs), labels))


def one_token() -> None:
    X, y = torch.randn(320, 1, 8), torch.randint(2, (320,))
    block = nn.MultiheadAttention(8, 2, batch_first=True)
    head = nn.Linear(8, 2)
    optimizer = torch.optim.Adam([*block.parameters(), *head.parameters()])
    for inputs, labels in batches(X, y):
        attended, _ = block(inputs, inputs, inputs)  # over a single key
        descend(optimizer, cross_entropy(head(attended[:, 0]), labels))


def contrastive() -> None:
    X = torch.randn(320, 6)
    model = nn.Linear(6, 4)
    optimizer = torch.optim.Adam(model.parameters())
    for (inputs,) in batches(X, epochs=4):
        a, b = model(inputs), model(inputs + 0.1 * torch.randn_like(inputs))
        similar = a @ b.T
        places = torch.arange(len(a))
        both = nll_loss(similar.log_softmax(1), places) + nll_loss(similar.log_softmax(0).T, places)
        descend(optimizer, both)


def focal(z: Tensor, labels: Tensor) -> Tensor:
    log_p = functional.log_softmax(z, 1)
    return nll_loss((1 - log_p.exp()) ** 2 * log_p, labels)


def distilled(z: Tensor, labels: Tensor) -> Tensor:
    teacher = (2 * functional.one_hot(labels, 4).float()).softmax(1)
    return functional.kl_div(z.log_softmax(1), teacher, reduction="batchmean")


def binary(loss_of: Callable[[Tensor, Tensor], Tensor], scale: float = 1.0) -> None:
    X, y = classes(2)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for inputs, labels in batches(X, y.float(), epochs=3):
        descend(optimizer, loss_of(scale * model(inputs), labels))


def cross_entropy_by_hand(p: Tensor, y: Tensor) -> Tensor:
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def of_rain(logarithm: Callable[[Tensor], Tensor]) -> None:
    rain = torch.rand(320, 5) * (torch.rand(320, 5) > 0.02)

    class Rain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(5, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.body(logarithm(x))
            return out

    model = Rain()
    optimizer = torch.optim.Adam(model.parameters())
    for inputs, targets in batches(rain, rain.sum(1, keepdim=True)):
        descend(optimizer, functional.mse_loss(model(inputs), targets))


def rounded(within: bool, how: Callable[[Tensor], Tensor]) -> None:
    X = torch.rand(320, 5)
    Y = X.sum(1, keepdim=True)
    first, last = mlp(5, 8), mlp(8, 8, 1)
    optimizer = torch.optim.Adam([*first.parameters(), *last.parameters()], lr=0.01)
    for inputs, targets in batches(X, Y):
        predictions = last(how(first(inputs))) if within else how(last(first(inputs).relu()))
        descend(optimizer, (predictions - targets).abs().mean())


def detached(make: Callable[[Tensor], Tensor]) -> None:
    X = torch.randn(320, 5)
    Y = X.sum(1, keepdim=True)
    model = mlp(5, 8, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, targets in batches(X, Y):
        descend(optimizer, make(functional.mse_loss(model(inputs), targets)))


def two_losses() -> None:
    X, y = classes()
    model = mlp(5, 16, 4)
    optimizer = torch.optim.Adam(model.parameters())
    for inputs, labels in batches(X, y):
        optimizer.zero_grad()
        z = model(inputs)
        cross_entropy(z, labels).backward(retain_graph=True)
        (0.01 * z.square().mean()).backward()
        optimizer.step()


BROKEN: dict[str, tuple[str, Program]] = {
    "a module with softmax at its end": (
        "softmax-before-cross-entropy",
        lambda: with_end(nn.Softmax(-1), nn.CrossEntropyLoss()),
    ),
    "softmax, then log_softmax and nll_loss": (
        "softmax-before-cross-entropy",
        lambda: classify(lambda z, y: nll_loss(torch.log_softmax(z.softmax(1), 1), y)),
    ),
    "a network that computes its own loss": ("softmax-before-cross-entropy", loss_within),
    "softmax with a small number added": (
        "softmax-before-cross-entropy",
        lambda: classify(lambda z, y: cross_entropy(z.softmax(1) + 1e-8, y)),
    ),
    "softmax over the batch, then cross-entropy": (
        "softmax-before-cross-entropy",
        lambda: classify(lambda z, y: cross_entropy(z.softmax(0), y)),
    ),
    "sigmoid within, BCEWithLogitsLoss without": (
        "sigmoid-before-loss-on-logits",
        lambda: with_end(torch.sigmoid, nn.BCEWithLogitsLoss()),
    ),
    "sigmoid twice by hand": (
        "sigmoid-before-loss-on-logits",
        lambda: binary(lambda z, y: functional.binary_cross_entropy(z.sigmoid().sigmoid(), y)),
    ),
    "sigmoid before cross-entropy": (
        "sigmoid-before-loss-on-logits",
        lambda: with_end(nn.Sigmoid(), nn.CrossEntropyLoss()),
    ),
    "softmax before binary cross-entropy on logits": (
        "sigmoid-before-loss-on-logits",
        lambda: with_end(lambda z: z.softmax(1), nn.BCEWithLogitsLoss()),
    ),
    "log_softmax over the batch, picked by hand": (
        "softmax-over-the-batch",
        lambda: classify(lambda z, y: by_hand(z.log_softmax(0), y)),
    ),
    "softmax over the batch before a squared error": (
        "softmax-over-the-batch",
        lambda: with_end(nn.Softmax(0), nn.MSELoss()),
    ),
    "softmax over the batch in the loss, with its logarithm": (
        "softmax-over-the-batch",
        lambda: classify(lambda z, y: nll_loss(functional.softmax(z, dim=0).log(), y)),
    ),
    "NLLLoss behind a Softmax layer": (
        "log-left-out",
        lambda: with_end(nn.Softmax(1), nn.NLLLoss()),
    ),
    "nll_loss of logits": ("log-left-out", lambda: classify(nll_loss)),
    "nll_loss of sigmoids": (
        "log-left-out",
        lambda: classify(lambda z, y: nll_loss(z.sigmoid(), y)),
    ),
    "kl_div of probabilities": (
        "log-left-out",
        lambda: classify(
            lambda z, y: functional.kl_div(z.softmax(1), functional.one_hot(y, 4).float())
        ),
    ),
    "softmax of one output before binary cross-entropy": (
        "one-logit-with-cross-entropy",
        lambda: binary(
            lambda z, y: functional.binary_cross_entropy(z[:, None].softmax(1)[:, 0], y)
        ),
    ),
    "cross-entropy of one output with labels of zero": (
        "one-logit-with-cross-entropy",
        lambda: with_end(lambda z: z, _OnZeros(), outputs=1),
    ),
    "round before a loss by hand": (
        "no-gradient-through-rounding",
        lambda: rounded(False, torch.round),
    ),
    "floor before a loss by hand": (
        "no-gradient-through-rounding",
        lambda: rounded(False, torch.floor),
    ),
    "sign between two networks": (
        "rounding-without-a-gradient",
        lambda: rounded(True, torch.sign),
    ),
    "ceil between two networks": (
        "rounding-without-a-gradient",
        lambda: rounded(True, lambda x: x.ceil() / 2),
    ),
    "a logarithm of a sigmoid": (
        "logarithm-of-zero",
        lambda: binary(lambda z, y: cross_entropy_by_hand(torch.sigmoid(z), y), scale=200),
    ),
    "a logarithm of a softmax by hand": (
        "logarithm-of-zero",
        lambda: classify(lambda z, y: by_hand((200 * z).softmax(1).log(), y)),
    ),
    "a logarithm of inputs within the network": (
        "logarithm-of-zero",
        lambda: of_rain(torch.log),
    ),
    "a logarithm of logits": (
        "logarithm-of-zero",
        lambda: binary(cross_entropy_by_hand),
    ),
    "a loss made of a number": (
        "loss-detached",
        lambda: detached(lambda loss: torch.tensor(loss.item(), requires_grad=True)),
    ),
    "a loss detached, and asked for gradients": (
        "loss-detached",
        lambda: detached(lambda loss: loss.detach().requires_grad_()),
    ),
}


class _OnZeros(nn.CrossEntropyLoss):
    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return super().forward(z, torch.zeros_like(labels))


SOUND: dict[str, Program] = {
    "cross-entropy": lambda: classify(cross_entropy),
    "cross-entropy of log_softmax, which changes nothing": lambda: classify(
        lambda z, y: cross_entropy(z.log_softmax(1), y)
    ),
    "cross-entropy of the logarithm of softmax": lambda: classify(
        lambda z, y: cross_entropy((z.softmax(1) + 1e-8).log(), y)
    ),
    "nll_loss of a mixture's logarithm": lambda: classify(
        lambda z, y: nll_loss((0.9 * z.softmax(1) + 0.025).log(), y)
    ),
    "focal loss through nll_loss": lambda: classify(focal),
    "distillation through kl_div": lambda: classify(distilled),
    "one output with two classes": lambda: binary(functional.binary_cross_entropy_with_logits),
    "a sigmoid with binary cross-entropy": lambda: with_end(nn.Sigmoid(), nn.BCELoss()),
    "softmax with squared error": lambda: with_end(nn.Softmax(1), nn.MSELoss()),
    "attention over time on axis 0": attends_over_time,
    "attention over a single key": one_token,
    "softmax both ways over similarities": contrastive,
    "a logarithm of a bounded sigmoid": lambda: binary(
        lambda z, y: cross_entropy_by_hand(torch.sigmoid(z).clamp(1e-6, 1 - 1e-6), y), scale=200
    ),
    "rounding with the gradient passed on": lambda: rounded(
        True, lambda x: x + (x.round() - x).detach()
    ),
    "the part behind the point": lambda: rounded(True, lambda x: x - x.floor()),
    "losses of two backward passes": two_losses,
    "a logarithm of inputs and one": lambda: of_rain(torch.log1p),
    "a loss cloned": lambda: detached(torch.clone),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_a_fault_written_otherwise_is_named_first(name: str) -> None:
    code, program = BROKEN[name]
    assert judged(program, CODES)[:1] == [code]


@pytest.mark.parametrize("name", SOUND)
def test_what_only_looks_like_a_fault_is_not_accused(name: str) -> None:
    assert judged(SOUND[name], CODES) == []


def test_each_rule_is_tried_on_two_programs_other_than_its_own() -> None:
    named = [code for code, _ in BROKEN.values()]
    assert all(named.count(code) >= 2 for code in CODES)
