"""Axes are swapped by ``reshape``.

Symptom: the network finds nothing in signals that are easy to tell apart, although every shape is
right.

Cause: ``reshape`` keeps the order of the numbers in memory and only cuts them into other rows. Each
channel then holds a third of the time, with all three channels in turn.

Cure: swap the axes, ``transpose(1, 2)``.

Met: where signals or images come with channels last and the layer wants them first.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "reshape-for-transpose"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    y = torch.randint(3, (600,))
    phase = 6.3 * torch.rand(600, 1)
    signals = 0.5 * torch.randn(600, 48, 3)
    signals[torch.arange(600), :, y] += torch.sin(torch.arange(48) * 0.7 + phase)
    X = signals.reshape(600, 3, 48)
    model = nn.Sequential(
        nn.Conv1d(3, 16, kernel_size=5),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(15):
        for rows in torch.randperm(400).split(40):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = (model(X[400:]).argmax(1) == y[400:]).float().mean()
    return {"accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    y = torch.randint(3, (600,))
    phase = 6.3 * torch.rand(600, 1)
    signals = 0.5 * torch.randn(600, 48, 3)
    signals[torch.arange(600), :, y] += torch.sin(torch.arange(48) * 0.7 + phase)
    X = signals.transpose(1, 2)
    model = nn.Sequential(
        nn.Conv1d(3, 16, kernel_size=5),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(15):
        for rows in torch.randperm(400).split(40):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = (model(X[400:]).argmax(1) == y[400:]).float().mean()
    return {"accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.55
