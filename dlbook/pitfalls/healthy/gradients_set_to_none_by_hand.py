"""Gradients are cleared without ``zero_grad``.

Suspicious: neither the optimizer's ``zero_grad`` nor the network's is ever called.

Right: setting ``grad`` to None clears as well; ``backward`` then makes a new tensor.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(digits.target)
    order = torch.randperm(len(X))
    train, test = order[:1400], order[1400:]
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(4):
        for rows in train[torch.randperm(len(train))].split(32):
            for p in model.parameters():
                p.grad = None
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        return {"accuracy": (model(X[test]).argmax(1) == y[test]).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
