"""Classes are learned by squared error.

Suspicious: a classifier is trained with the loss of a regression, and without softmax.

Right: the targets are rows with a one at the class and zeros elsewhere, not numbers of classes: no
class is nearer to one than to another. What minimizes the squared error is the probability of each
class, and the largest output names the most probable one.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(digits.target)
    train, test = torch.randperm(len(X)).split(1400)
    one_hot = nn.functional.one_hot(y, num_classes=10).float()
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(108, 10)
    )
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.01)
    for _ in range(6):
        for rows in train[torch.randperm(1400)].split(50):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(X[rows]), one_hot[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        return {"accuracy": (model(X[test]).argmax(1) == y[test]).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
