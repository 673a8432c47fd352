"""The doctor sees steps that are too long or too short, and trials tell what made them so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.utils.data import DataLoader, TensorDataset

from dlbook.doctor.rules import rates
from tests.judged import batches, descend, mlp, reported

CODES = [
    *("clipping-out-of-scale", "decay-out-of-scale", "eps-too-large", "rate-too-high"),
    *("rate-too-low", "stopped-while-falling"),
]
Make = Callable[[Iterator[nn.Parameter]], Optimizer]


class Reader(nn.Module):
    """Adds the numbers of a sequence up."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(1, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, sequences: Tensor) -> Any:
        return self.head(self.rnn(sequences)[1][-1])


class Pictures(nn.Module):
    """Tells where in an image the bright spot is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.head = nn.Linear(8 * 36, 4)

    def forward(self, batch: dict[str, Tensor]) -> Any:
        return self.head(self.norm(self.conv(batch["pixels"])).relu().flatten(1))


def classify(make: Make, epochs: int = 20, noise: float = 1.0) -> None:
    y = torch.randint(4, (320,))
    X = 2 * torch.randn(4, 6)[y] + noise * torch.randn(320, 6)
    model, loss_fn = mlp(6, 32, 32, 4), nn.CrossEntropyLoss()
    optimizer = make(model.parameters())
    loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
    for _ in range(epochs):
        for inputs, labels in loader:
            descend(optimizer, loss_fn(model(inputs), labels))


def regress(
    make: Make, epochs: int = 20, clip: Callable[[nn.Module], object] = lambda _: None
) -> None:
    X = torch.randn(400, 5)
    Y = torch.sin(2 * X[:, :1]) + X[:, 1:2] * X[:, 2:3]
    model = mlp(5, 48, 1)
    optimizer = make(model.parameters())
    for inputs, targets in batches(X, Y, epochs=epochs):
        optimizer.zero_grad()
        functional.huber_loss(model(inputs), targets).backward()
        clip(model)
        optimizer.step()


def read(make: Make, clip: Callable[[nn.Module], object] = lambda _: None) -> None:
    X = torch.randn(320, 8, 1)
    model = Reader()
    optimizer = make(model.parameters())
    for sequences, sums in batches(X, X.sum(1) / 3, epochs=25):
        optimizer.zero_grad()
        (model(sequences) - sums).square().mean().backward()
        clip(model)
        optimizer.step()


def see(make: Make, epochs: int = 10, rows: int = 320) -> None:
    y = torch.randint(4, (rows,))
    X = torch.rand(rows, 1, 6, 6)
    X[torch.arange(rows), 0, 1 + 3 * (y // 2), 1 + 3 * (y % 2)] += 1
    model = Pictures()
    optimizer = make(model.parameters())
    for pixels, labels in batches(X, y, epochs=epochs):
        descend(optimizer, functional.cross_entropy(model({"pixels": pixels}), labels))


def mostly_noise(make: Make) -> None:
    X = torch.randn(640, 6)
    y = (X[:, 0] + 1.5 * torch.randn(640) > 0).long()
    model = mlp(6, 8, 2)
    optimizer = make(model.parameters())
    for inputs, labels in batches(X, y, epochs=10):
        descend(optimizer, functional.cross_entropy(model(inputs), labels))


def norm_to(limit: float) -> Callable[[nn.Module], object]:
    return lambda model: nn.utils.clip_grad_norm_(model.parameters(), limit)


def numbers_to(limit: float) -> Callable[[nn.Module], object]:
    return lambda model: nn.utils.clip_grad_value_(model.parameters(), limit)


BROKEN: dict[str, tuple[str, Callable[[], None]]] = {
    "decoupled decay of 30": (
        "decay-out-of-scale",
        lambda: classify(lambda p: AdamW(p, lr=0.01, weight_decay=30)),
    ),
    "decay of 3 in a recurrent network": (
        "decay-out-of-scale",
        lambda: read(lambda p: RMSprop(p, lr=0.003, weight_decay=3)),
    ),
    "a norm of 0.0001": (
        "clipping-out-of-scale",
        lambda: regress(lambda p: SGD(p, lr=0.1, momentum=0.9), clip=norm_to(1e-4)),
    ),
    "single numbers to 0.00001": (
        "clipping-out-of-scale",
        lambda: read(lambda p: SGD(p, lr=0.1, momentum=0.9), clip=numbers_to(1e-5)),
    ),
    "eps of RMSprop": ("eps-too-large", lambda: see(lambda p: RMSprop(p, lr=0.0003, eps=10.0))),
    "eps of AdamW": ("eps-too-large", lambda: regress(lambda p: AdamW(p, lr=0.003, eps=1.0))),
    "plain descent at a rate of 30": ("rate-too-high", lambda: classify(lambda p: SGD(p, lr=30))),
    "Adam at a rate of 3 over a recurrent network": (
        "rate-too-high",
        lambda: read(lambda p: Adam(p, lr=3.0)),
    ),
    "descent that breaks down": (
        "rate-too-high",
        lambda: regress(lambda p: SGD(p, lr=2.0, momentum=0.99)),
    ),
    "plain descent at a rate of 0.0001": (
        "rate-too-low",
        lambda: classify(lambda p: SGD(p, lr=1e-4)),
    ),
    "Adam at a rate of 0.000003": ("rate-too-low", lambda: see(lambda p: Adam(p, lr=3e-6))),
    "one epoch over few records": (
        "stopped-while-falling",
        lambda: classify(lambda p: Adam(p, lr=0.002), epochs=1),
    ),
    "two epochs of descent": (
        "stopped-while-falling",
        lambda: classify(lambda p: SGD(p, lr=0.05), epochs=1),
    ),
}
SOUND: dict[str, Callable[[], None]] = {
    "little decay": lambda: classify(lambda p: AdamW(p, lr=0.01, weight_decay=0.01)),
    "decay of 0.01 in plain descent": lambda: classify(
        lambda p: SGD(p, lr=0.1, weight_decay=0.01), epochs=30
    ),
    "clipping that acts now and then": lambda: regress(
        lambda p: Adam(p, lr=0.01), clip=norm_to(0.3)
    ),
    "clipping that does not matter to Adam": lambda: read(
        lambda p: Adam(p, lr=0.01), clip=norm_to(0.001)
    ),
    "eps made up for by the rate": lambda: classify(lambda p: Adam(p, lr=1.0, eps=10.0)),
    "an eps of 0.001": lambda: see(lambda p: Adam(p, lr=0.01, eps=1e-3)),
    "a rate of 0.5": lambda: classify(lambda p: SGD(p, lr=0.5)),
    "a rate of 0.0003 that suffices": lambda: see(lambda p: Adam(p, lr=3e-4), epochs=20),
    "labels that are mostly noise": lambda: mostly_noise(lambda p: Adam(p, lr=0.003)),
    "labels that are mostly noise, by descent": lambda: mostly_noise(lambda p: SGD(p, lr=0.1)),
    "much noise in the classes": lambda: classify(lambda p: Adam(p, lr=0.003), noise=3.0),
    "a short run that has learned": lambda: classify(lambda p: Adam(p, lr=0.03), epochs=4),
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
    assert {code.replace("-", "_") for code in CODES} <= set(rates.__all__)
