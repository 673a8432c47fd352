"""The doctor sees gradients that fade, grow or break, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam

from dlbook.doctor.rules import gradients
from tests.judged import batches, descend, mlp, reported

CODES = [name.replace("_", "-") for name in gradients.__all__]


class Deep(nn.Module):
    """Many layers with an activation that is a function."""

    def __init__(self, activation: Callable[[Tensor], Tensor], depth: int = 8) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 32), *(nn.Linear(32, 32) for _ in range(depth))])
        self.head, self.activation = nn.Linear(32, 3), activation

    def forward(self, X: Tensor) -> Any:
        for layer in self.layers:
            X = self.activation(layer(X))
        return self.head(X)


class Residual(Deep):
    """The same with a way around each layer."""

    def forward(self, X: Tensor) -> Any:
        X = self.layers[0](X)
        for layer in self.layers[1:]:
            X = X + self.activation(layer(X))
        return self.head(X)


class Spread(nn.Module):
    """Scales what it is given by its standard deviation, or by its length."""

    def __init__(self, scale: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last, self.scale = nn.Linear(8, 16), nn.Linear(16, 3), scale

    def forward(self, X: Tensor) -> Any:
        A = torch.relu(self.first(X))
        return self.last(A / (self.scale(A) + 1e-3))


class Loops(nn.Module):
    """Goes through a sequence by a loop of its own."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.enter, self.on, self.head = nn.Linear(1, 16), nn.Linear(16, 16), nn.Linear(16, 1)
        nn.init.eye_(self.on.weight)
        self.on.weight.data *= size

    def forward(self, sequences: Tensor) -> Any:
        state = sequences.new_zeros(len(sequences), 16)
        for number in sequences.unbind(1):
            state = torch.relu(self.enter(number) + self.on(state))
        return self.head(state)


def table() -> tuple[Tensor, Tensor]:
    y = torch.randint(3, (320,))
    X = 2 * torch.randn(3, 8)[y] + torch.randn(320, 8)
    X[5] = 0  # a record with nothing in it
    return X, y


def classify(model: nn.Module, optimizer: torch.optim.Optimizer, epochs: int = 15) -> None:
    for inputs, labels in batches(*table(), epochs=epochs):
        descend(optimizer, functional.cross_entropy(model(inputs), labels))


def by_descent(model: nn.Module, rate: float = 0.05, epochs: int = 15) -> None:
    classify(model, SGD(model.parameters(), lr=rate, momentum=0.9), epochs)


def by_adam(model: nn.Module, rate: float = 0.01) -> None:
    classify(model, Adam(model.parameters(), lr=rate))


def scaled(model: nn.Module, std: float) -> nn.Module:
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=std)
    return model


def distances(far: Callable[[Tensor], Tensor]) -> None:
    X, y = table()
    X[5] = X[6]
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        points = model(X[:60])
        apart = far(points[:, None] - points[None])
        alike = (y[:60, None] == y[:60]).float()
        loss = (alike * apart.square() + (1 - alike) * (3 - apart).clamp(min=0).square()).mean()
        descend(optimizer, loss)


def masked_means(least: float) -> None:
    X = torch.randn(320, 6, 3)
    there = torch.rand(320, 6) < 0.6
    there[::40] = False
    Y = X[:, :, 0].mul(there).sum(1, keepdim=True)
    model = mlp(3, 16, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    for inputs, mask, targets in batches(X, there, Y, epochs=15):
        sums = (model(inputs)[:, :, 0] * mask).sum(1)
        counts = mask.sum(1).clamp(min=least)
        means = torch.where(mask.any(1), sums / counts, torch.zeros_like(sums))
        descend(optimizer, functional.mse_loss((means * mask.sum(1))[:, None], targets))


def sums(model: nn.Module, clip: float = 0.0, rate: float = 0.002) -> None:
    X = torch.rand(320, 24, 1)
    Y = X.sum(1) - 12
    optimizer = SGD(model.parameters(), lr=rate, momentum=0.9)
    for inputs, targets in batches(X, Y, size=20, epochs=15):
        optimizer.zero_grad()
        functional.mse_loss(model(inputs), targets).backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()


class Bare(nn.Module):
    """Multiplies by matrices of its own."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.U, self.V = (
            nn.Parameter(std * torch.randn(8, 48)),
            nn.Parameter(std * torch.randn(48, 3)),
        )

    def forward(self, X: Tensor) -> Any:
        return torch.tanh(X @ self.U) @ self.V


class First(nn.Module):
    """Says of which sign the first number of a sequence was."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.rnn, self.head = nn.RNN(1, 24, batch_first=True), nn.Linear(24, 2)
        recurrent = self.rnn.get_parameter("weight_hh_l0")
        if std:
            nn.init.normal_(recurrent, std=std)
        else:
            nn.init.orthogonal_(recurrent)

    def forward(self, sequences: Tensor) -> Any:
        return self.head(self.rnn(sequences)[1][-1])


def remember(std: float) -> None:
    X = 0.1 * torch.randn(320, 16, 1)
    X[:, 0] += torch.randn(320, 1).sign()
    model = First(std)
    optimizer = Adam(model.parameters(), lr=0.003)
    for inputs, labels in batches(X, (X[:, 0, 0] > 0).long(), epochs=20):
        descend(optimizer, functional.cross_entropy(model(inputs), labels))


class Reader(nn.Module):
    """A recurrent network with ReLU, which begins as the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(1, 32, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(32, 1)
        nn.init.eye_(self.rnn.get_parameter("weight_hh_l0"))

    def forward(self, sequences: Tensor) -> Any:
        return self.head(self.rnn(sequences)[1][-1])


BROKEN: dict[str, tuple[str, Callable[[], None]]] = {
    "distances by vector_norm": (
        "nan-gradient",
        lambda: distances(lambda d: (d**2).sum(-1) ** 0.5),
    ),
    "a mean over nothing": ("nan-gradient", lambda: masked_means(0)),
    "the root of a sum of squares within a network": (
        "nan-gradient",
        lambda: by_adam(Spread(lambda A: (A * 0).square().sum(1, keepdim=True).sqrt())),
    ),
    "sigmoid as a function": ("vanishing-gradients", lambda: by_descent(Deep(torch.sigmoid))),
    "weights far too small": (
        "vanishing-gradients",
        lambda: by_descent(scaled(Deep(torch.tanh), 0.02)),
    ),
    "weights of size 1 before tanh": (
        "weights-too-large",
        lambda: by_descent(scaled(Deep(torch.tanh, depth=6), 1.0), rate=0.001),
    ),
    "weights of size 1 before ReLU": (
        "weights-too-large",
        lambda: by_adam(scaled(mlp(8, 64, 64, 3), 1.5), rate=0.001),
    ),
    "a bare matrix of size 10": ("weights-too-large", lambda: by_adam(Bare(10.0), rate=0.003)),
    "recurrent weights that forget": ("vanishing-gradients", lambda: remember(0.02)),
    "a loop whose first loss is infinite": (
        "exploding-gradients",
        lambda: sums(Loops(1000.0), rate=0.002),
    ),
    "a loop over a sequence": ("exploding-gradients", lambda: sums(Loops(1.0), rate=0.003)),
    "a recurrent network with ReLU": ("exploding-gradients", lambda: sums(Reader())),
}
SOUND: dict[str, Callable[[], None]] = {
    "recurrent weights that remember": lambda: remember(0.0),
    "distances with a small number below the root": lambda: distances(
        lambda d: ((d**2).sum(-1) + 1e-8) ** 0.5
    ),
    "a mean over nothing, made harmless": lambda: masked_means(1),
    "two sigmoids": lambda: by_adam(Deep(torch.sigmoid, depth=1)),
    "many layers with ways around": lambda: by_descent(Residual(torch.tanh), rate=0.02),
    "weights of the size of their inputs": lambda: by_adam(scaled(mlp(8, 64, 64, 3), 0.15)),
    "large weights before batch normalization": lambda: by_adam(
        scaled(
            nn.Sequential(
                nn.Linear(8, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 3), nn.BatchNorm1d(3)
            ),
            2.0,
        )
    ),
    "a loop whose gradients are clipped": lambda: sums(Loops(0.9), clip=1.0, rate=0.005),
    "a recurrent network whose gradients are clipped": lambda: sums(Reader(), clip=1.0),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_written_otherwise_is_named_first(name: str) -> None:
    code, program = BROKEN[name]
    report = reported(program)
    assert [finding.code for finding in report.findings][:1] == [code], str(report)


@pytest.mark.parametrize("name", SOUND)
def test_what_only_looks_like_a_fault_is_not_accused(name: str) -> None:
    report = reported(SOUND[name])
    assert not report, str(report)


def test_each_rule_is_tried_on_two_programs_other_than_its_own() -> None:
    named = [code for code, _ in BROKEN.values()]
    assert all(named.count(code) >= 2 for code in CODES)
