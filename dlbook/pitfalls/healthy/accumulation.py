"""Gradients of several batches make one step.

Suspicious: ``backward`` runs four times before the gradients are used and cleared.

Right: what adds up is divided by four beforehand, so that the step follows the mean over all four
batches, as one batch of their examples would: large batches where memory holds only small ones.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(5):
        for number, rows in enumerate(torch.randperm(len(X)).split(16), start=1):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows]) / 4
            loss.backward()
            if number % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()
    return {"accuracy": (model(X).argmax(1) == y).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.9
