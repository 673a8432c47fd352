"""A network ends in a sigmoid and is trained with binary cross-entropy.

Suspicious: a sigmoid stands before the loss, as it does where it is applied twice.

Right: this loss takes probabilities, not logits, and applies no sigmoid of its own. There are three
labels, each of which can hold or not, so that the probabilities need not sum to 1.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.randn(1500, 6)
    Y = torch.stack([X[:, 0] > 0.3, X[:, 1] + X[:, 2] < 0, X[:, 3].abs() > 0.9], dim=1).float()
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3), nn.Sigmoid())
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
    for _ in range(20):
        for rows in torch.randperm(1000).split(40):
            loss = nn.functional.binary_cross_entropy(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = (model(X[1000:]) > 0.5) == (Y[1000:] > 0.5)
    more_frequent = (Y[1000:].mean(0) - 0.5).abs() + 0.5
    return {"accuracy": right.float().mean().item(), "of a guess": more_frequent.mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > outcome.measured["of a guess"] + 0.1
