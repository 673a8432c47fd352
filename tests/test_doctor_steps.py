"""The doctor sees steps that are made otherwise than meant, however the loop is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_  # as many programs import it
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset

from dlbook.doctor.rules import steps
from tests.judged import batches, descend, mlp, reported

CODES = [name.replace("_", "-") for name in steps.__all__]
Make = Callable[[Iterator[nn.Parameter]], Optimizer]


def records(count: int = 320) -> tuple[Tensor, Tensor]:
    X = torch.randn(count, 6)
    return X, torch.sin(X[:, :1]) + 0.5 * X[:, 1:2] * X[:, 2:3]


def regress(make: Make, epochs: int = 12) -> None:
    X, Y = records()
    model = mlp(6, 32, 1)
    optimizer = make(model.parameters())
    for inputs, targets in DataLoader(TensorDataset(X, Y), batch_size=32, shuffle=True):
        descend(optimizer, functional.mse_loss(model(inputs), targets))
    for inputs, targets in batches(X, Y, epochs=epochs):
        descend(optimizer, functional.mse_loss(model(inputs), targets))


def adversaries() -> None:
    made, judge = mlp(4, 16, 2), mlp(2, 16, 1)
    first = torch.optim.Adam(made.parameters(), lr=2e-4, betas=(0.5, 0.999))
    second = torch.optim.Adam(judge.parameters(), lr=2e-4, betas=(0.0, 0.9))
    right, wrong = torch.ones(64, 1), torch.zeros(64, 1)
    bce = nn.BCEWithLogitsLoss()
    for _ in range(30):
        real, fake = torch.randn(64, 2) + 2, made(torch.randn(64, 4))
        descend(second, bce(judge(real), right) + bce(judge(fake.detach()), wrong))
        descend(first, bce(judge(fake), right))


def clips(after: bool, limit: float = 0.1, single: bool = False) -> None:
    X, Y = records()
    model = mlp(6, 32, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def clip() -> None:
        if single:
            nn.utils.clip_grad_value_(list(model.parameters()), clip_value=limit)
        else:
            clip_grad_norm_(model.parameters(), limit)

    for inputs, targets in batches(X, Y, epochs=15):
        loss = functional.mse_loss(model(inputs), targets)
        loss.backward()
        if not after:
            clip()
        optimizer.step()
        if after:
            clip()
        optimizer.zero_grad()


def norms_logged_after_the_step() -> None:
    clips(after=True, limit=float("inf"))


def made_anew(make: Make, every_epoch: bool, epochs: int = 12) -> None:
    X, Y = records()
    model = mlp(6, 32, 1)

    def one_step(inputs: Tensor, targets: Tensor) -> None:
        descend(make(model.parameters()), functional.mse_loss(model(inputs), targets))

    for _ in range(epochs):
        optimizer = make(model.parameters())
        for inputs, targets in batches(X, Y, epochs=1):
            if every_epoch:
                descend(optimizer, functional.mse_loss(model(inputs), targets))
            else:
                one_step(inputs, targets)


def folds() -> None:
    X, Y = records()
    for _ in range(6):
        model = mlp(6, 32, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for inputs, targets in batches(X, Y, epochs=8):
            descend(optimizer, functional.mse_loss(model(inputs), targets))


def two_phases() -> None:
    X, Y = records()
    model = mlp(6, 32, 1)
    for rate in (0.01, 0.003):
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        for inputs, targets in batches(X, Y, epochs=8):
            descend(optimizer, functional.mse_loss(model(inputs), targets))


class Tagger(nn.Module):
    """Says for each sequence whether it holds a certain token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.gru = nn.Embedding(20, 16), nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, tokens: Tensor) -> Any:
        return self.head(self.gru(self.embedding(tokens))[1][-1])


def tagged(dtype: torch.dtype, rate: float) -> None:
    tokens = torch.randint(20, (320, 6))
    labels = (tokens == 3).any(1).long()
    model = Tagger().to(dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    for inputs, targets in batches(tokens, labels, epochs=20):
        descend(optimizer, functional.cross_entropy(model(inputs).float(), targets))


def restored(dtype: torch.dtype, rate: float) -> None:
    X = (torch.randn(320, 3) @ torch.randn(3, 12)).to(dtype)
    encoder, decoder = nn.Linear(12, 8), nn.Linear(8, 12)
    model = nn.Sequential(encoder, nn.Tanh(), decoder).to(dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for (inputs,) in batches(X, epochs=30):
        descend(optimizer, ((model(inputs) - inputs) ** 2).mean())


def autocast() -> None:
    X, Y = records()
    model = mlp(6, 32, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, targets in batches(X, Y, epochs=12):
        with torch.autocast("cpu", torch.bfloat16):
            outputs = model(inputs)
        descend(optimizer, functional.mse_loss(outputs.float(), targets))


BROKEN: dict[str, tuple[str, Callable[[], None]]] = {
    "betas of AdamW": (
        "betas-swapped",
        lambda: regress(lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.999, 0.9))),
    ),
    "betas of NAdam": (
        "betas-swapped",
        lambda: regress(lambda p: torch.optim.NAdam(p, lr=0.01, betas=(0.99, 0.9))),
    ),
    "clipping imported by name": ("clipped-after-the-step", lambda: clips(after=True)),
    "single numbers clipped": (
        "clipped-after-the-step",
        lambda: clips(after=True, limit=0.01, single=True),
    ),
    "Adam in a function that makes a step": (
        "optimizer-made-in-the-loop",
        lambda: made_anew(lambda p: torch.optim.Adam(p, lr=0.003), every_epoch=False),
    ),
    "RMSprop made each epoch": (
        "optimizer-made-in-the-loop",
        lambda: made_anew(lambda p: torch.optim.RMSprop(p, lr=0.003), every_epoch=True),
    ),
    "a recurrent network in bfloat16": (
        "steps-lost-in-rounding",
        lambda: tagged(torch.bfloat16, 2e-4),
    ),
    "an autoencoder in bfloat16": (
        "steps-lost-in-rounding",
        lambda: restored(torch.bfloat16, 2e-4),
    ),
}
SOUND: dict[str, Callable[[], None]] = {
    "betas of adversaries": adversaries,
    "betas that are equal": lambda: regress(
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.9))
    ),
    "clipping before the step": lambda: clips(after=False, limit=1.0),
    "norms logged after the step": norms_logged_after_the_step,
    "plain descent made anew": lambda: made_anew(
        lambda p: torch.optim.SGD(p, lr=0.1), every_epoch=False, epochs=20
    ),
    "an optimizer for each fold": folds,
    "an optimizer for each phase": two_phases,
    "steps in bfloat16 that are long enough": lambda: restored(torch.bfloat16, 1e-2),
    "autocast": autocast,
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
