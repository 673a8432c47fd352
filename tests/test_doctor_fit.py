"""The doctor sees networks that cannot learn enough, learn too much, or break down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW

from dlbook.doctor.rules import fit
from tests.judged import batches, descend, mlp, reported

CODES = [name.replace("_", "-") for name in fit.__all__]


class Sifted(nn.Module):
    """Leaves numbers out by a function."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 32)])
        self.head, self.share = nn.Linear(32, 4), share

    def forward(self, X: Tensor) -> Any:
        for layer in self.layers:
            X = functional.dropout(functional.relu(layer(X)), self.share, self.training)
        return self.head(X)


class Reader(nn.Module):
    """Says which of four kinds a sequence is, by its first number."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.rnn = nn.GRU(1, 16, num_layers=3, dropout=share, batch_first=True)
        self.out, self.head = nn.Dropout(share), nn.Linear(16, 4)

    def forward(self, sequences: Tensor) -> Any:
        return self.head(self.out(self.rnn(sequences)[0][:, -1]))


def table(classes: int = 4, rows: int = 400, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    y = torch.randint(classes, (rows,))
    return 2 * torch.randn(classes, 8)[y] + noise * torch.randn(rows, 8), y


def classify(model: nn.Module, X: Tensor, y: Tensor, epochs: int = 15, rate: float = 0.01) -> None:
    optimizer = AdamW(model.parameters(), lr=rate)
    for inputs, labels in batches(X, y, epochs=epochs):
        descend(optimizer, functional.cross_entropy(model(inputs), labels))


def sequences(share: float) -> None:
    X = torch.randn(400, 4, 1)
    y = torch.bucketize(X[:, 0, 0].contiguous(), torch.tensor([-0.7, 0.0, 0.7]))
    classify(Reader(share), X, y, epochs=25)


def spiral(model: nn.Module, rate: float = 0.01) -> None:
    turns = 3 * torch.rand(600, 1)
    side = torch.randint(2, (600, 1))
    angles = 2 * turns + 3.14 * side
    X = torch.cat([turns * angles.cos(), turns * angles.sin()], 1)
    classify(model, X + 0.02 * torch.randn(600, 2), side[:, 0], epochs=20, rate=rate)


def waves(model: nn.Module) -> None:
    X = 2 * torch.rand(600, 1) - 1
    Y = torch.sin(6 * X) + 0.05 * torch.randn(600, 1)
    optimizer = Adam(model.parameters(), lr=0.02)
    for inputs, targets in batches(X, Y, epochs=30):
        descend(optimizer, functional.mse_loss(model(inputs), targets))


def bowl() -> None:
    X = 2 * torch.rand(600, 2) - 1
    Y = 3 * X.square().sum(1, keepdim=True)
    model = nn.Linear(2, 1)
    optimizer = Adam(model.parameters(), lr=0.02)
    for inputs, targets in batches(X, Y, epochs=20):
        descend(optimizer, functional.mse_loss(model(inputs), targets))


def validated(epochs: int, rows: int = 40, noise: float = 2.5, patience: int = 0) -> None:
    X, y = table(rows=rows + 300, noise=noise)
    model = mlp(8, 128, 128, 4)
    optimizer = Adam(model.parameters(), lr=0.003)
    losses: list[float] = []
    for _ in range(epochs):
        model.train()
        for inputs, labels in batches(X[:rows], y[:rows], size=20, epochs=1):
            descend(optimizer, functional.cross_entropy(model(inputs), labels))
        model.eval()
        with torch.no_grad():
            losses.append(functional.cross_entropy(model(X[rows:]), y[rows:]).item())
        if patience and min(losses) < min(losses[-patience:]):
            break


def fitted(epochs: int) -> None:
    X = torch.randn(330, 6)
    Y = X[:, :1] + torch.randn(330, 1)
    model, loss_fn = mlp(6, 128, 128, 1), nn.MSELoss()
    optimizer = Adam(model.parameters(), lr=0.005)
    for epoch in range(epochs):
        descend(optimizer, loss_fn(model(X[:30]), Y[:30]))
        if epoch % 10 == 0:
            with torch.no_grad():
                loss_fn(model(X[30:]), Y[30:]).item()


def logarithm_of_a_difference() -> None:
    X, y = table(2)
    model = mlp(8, 16, 1)
    optimizer = SGD(model.parameters(), lr=0.5)
    for inputs, labels in batches(X, y, epochs=15):
        gap = model(inputs)[:, 0] * (2 * labels - 1)
        descend(optimizer, (1.5 - gap).log().mean())


def broken_reciprocal() -> None:
    model = nn.Linear(3, 1)
    optimizer = SGD(model.parameters(), lr=0.05)
    for step in range(60):
        X = torch.randn(32, 3)
        loss = (model(X) - X.sum(1, keepdim=True)).square().mean()
        descend(optimizer, loss / (0.0 if step == 40 else 1.0))


BROKEN: dict[str, tuple[str, Callable[[], None]]] = {
    "dropout as a function": ("dropout-too-strong", lambda: classify(Sifted(0.95), *table())),
    "dropout within a recurrent network": ("dropout-too-strong", lambda: sequences(0.95)),
    "a spiral for one unit": (
        "too-little-capacity",
        lambda: spiral(nn.Sequential(nn.Linear(2, 1), nn.Tanh(), nn.Linear(1, 2)), rate=0.03),
    ),
    "a bowl for a line": ("too-little-capacity", bowl),
    "a wave for one unit": ("too-little-capacity", lambda: waves(mlp(1, 1, 1))),
    "few records for long": ("overfitting", lambda: validated(200)),
    "noise learned by heart": ("overfitting", lambda: fitted(800)),
    "a loss divided by zero": ("loss-not-finite", broken_reciprocal),
}
SOUND: dict[str, Callable[[], None]] = {
    "dropout of one half": lambda: classify(Sifted(0.5), *table()),
    "dropout of one half in a recurrent network": lambda: sequences(0.5),
    "a wave for many units": lambda: waves(mlp(1, 32, 1)),
    "classes that overlap": lambda: classify(mlp(8, 4, 4), *table(noise=3.0)),
    "a linear model": lambda: classify(nn.Linear(8, 4), *table()),
    "stopped in time": lambda: validated(200, patience=3),
    "many records": lambda: validated(8, rows=1200, noise=1.5),
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


def test_each_rule_is_tried_on_programs_other_than_its_own() -> None:
    assert {code for code, _ in BROKEN.values()} == set(CODES)
