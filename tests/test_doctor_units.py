"""The doctor sees units that stay zero, stay alike or are dead, in whatever style they are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dlbook.doctor.rules import units
from tests.judged import batches, descend, mlp, reported

CODES = [name.replace("_", "-") for name in units.__all__]
Change = Callable[[nn.Module], object]


class Shapes(nn.Module):
    """Tells where in an image the bright spot is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.hidden = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8 * 36, 24)
        self.head = nn.Linear(24, 4)

    def forward(self, images: Tensor) -> Any:
        maps = functional.relu(self.conv(images)).flatten(1)
        return self.head(functional.relu(self.hidden(maps)))


class Reader(nn.Module):
    """Says whether a sequence begins above zero."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(2, 12, batch_first=True), nn.Linear(12, 2)

    def forward(self, sequences: Tensor) -> Any:
        return self.head(self.rnn(sequences)[0][:, -1])


class Adapted(nn.Module):
    """A branch that begins at zero beside one that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.down, self.up = mlp(6, 24, 3), nn.Linear(6, 4), nn.Linear(4, 3)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, X: Tensor) -> Any:
        return self.body(X) + self.up(self.down(X).relu())


def train(model: nn.Module, change: Change, inputs: Tensor, labels: Tensor) -> None:
    change(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for xs, ys in batches(inputs, labels, epochs=15):
        descend(optimizer, functional.cross_entropy(model(xs), ys))


def images(change: Change) -> None:
    y = torch.randint(4, (320,))
    X = 0.3 * torch.rand(320, 1, 6, 6)
    X[torch.arange(320), 0, 1 + 3 * (y // 2), 1 + 3 * (y % 2)] += 2
    train(Shapes(), change, X, y)


def table(change: Change, model: Callable[[], nn.Module] = lambda: mlp(6, 24, 24, 3)) -> None:
    y = torch.randint(3, (320,))
    X = 2 * torch.randn(3, 6)[y] + torch.randn(320, 6)
    train(model(), change, X, y)


def sequences(change: Change) -> None:
    X = torch.randn(320, 5, 2)
    train(Reader(), change, X, (X[:, 0, 0] > 0).long())


def filled(value: float, *names: str) -> Change:
    def change(model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            if not names or name in names:
                nn.init.constant_(parameter, value)

    return change


def nothing(_: nn.Module) -> None:
    pass


BROKEN: dict[str, tuple[str, Callable[[], None]]] = {
    "zeros in a network of convolutions": ("weights-all-zero", lambda: images(filled(0.0))),
    "zeros in a recurrent network": ("weights-all-zero", lambda: sequences(filled(0.0))),
    "ones in all layers": ("units-all-alike", lambda: table(filled(0.05))),
    "a constant in a recurrent network": ("units-all-alike", lambda: sequences(filled(0.1))),
    "biases far below zero behind convolutions": (
        "dead-units",
        lambda: images(filled(-20.0, "hidden.bias")),
    ),
    "biases far below zero in a table's network": (
        "dead-units",
        lambda: table(filled(-50.0, "2.bias")),
    ),
}
SOUND: dict[str, Callable[[], None]] = {
    "a linear model from zeros": lambda: table(filled(0.0), lambda: nn.Linear(6, 3)),
    "a last layer from zeros": lambda: table(filled(0.0, "4.weight", "4.bias")),
    "a branch from zeros": lambda: table(nothing, Adapted),
    "all biases alike": lambda: table(filled(0.1, "0.bias", "2.bias")),
    "last weights alike": lambda: images(filled(0.05, "head.weight")),
    "some units dead": lambda: table(
        lambda model: nn.init.constant_(model.get_parameter("0.bias")[:12], -50.0)
    ),
    "a recurrent network": lambda: sequences(nothing),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_written_otherwise_is_named_first(name: str) -> None:
    code, program = BROKEN[name]
    assert [finding.code for finding in reported(program).findings][:1] == [code]


@pytest.mark.parametrize("name", SOUND)
def test_what_only_looks_like_a_fault_is_not_accused(name: str) -> None:
    report = reported(SOUND[name])
    assert not report, str(report)


def test_each_rule_is_tried_on_two_programs_other_than_its_own() -> None:
    named = [code for code, _ in BROKEN.values()]
    assert all(named.count(code) >= 2 for code in CODES)
