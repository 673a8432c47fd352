"""The loss stays where it was for many steps, and then falls.

Suspicious: for the first steps the loss is that of a guess and hardly moves, as if nothing were
learned.

Right: the label is the product of three signs, of which no two tell anything. The slope is small
until hidden units have got hold of all three, and grows from then on.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.randn(4000, 10).sign()
    y = (X[:, 0] * X[:, 1] * X[:, 2] > 0).long()
    model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for _ in range(800):
        rows = torch.randint(3000, (100,))
        loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    means = torch.tensor(losses).unfold(0, 20, 20).mean(1)
    with torch.no_grad():
        accuracy = (model(X[3000:]).argmax(1) == y[3000:]).float().mean().item()
    return {
        "steps until the loss is below 0.6": 20.0 * int((means > 0.6).sum()),
        "last losses": means[-1].item(),
        "accuracy": accuracy,
    }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.9
