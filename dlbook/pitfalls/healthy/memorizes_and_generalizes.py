"""The network has more weights than there are numbers in the data, and learns every record.

Suspicious: the loss in training ends near 0 and that in validation at several times as much, and
there are eighty weights for each record.

Right: what counts is how it does on new records, and at the end that is as good as it ever was, or
nearly. The gap between the two losses is no harm by itself.
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
    train, validation = torch.randperm(len(X)).split([1000, len(X) - 1000])
    model = nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.5)
    losses, accuracies = [], []
    for _ in range(25):
        total = 0.0
        for rows in train[torch.randperm(1000)].split(50):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / 20
        with torch.no_grad():
            logits = model(X[validation])
        losses.append((total, nn.functional.cross_entropy(logits, y[validation]).item()))
        accuracies.append((logits.argmax(1) == y[validation]).float().mean().item())
    least = min(validation for _, validation in losses)
    return {
        "loss in training": losses[-1][0],
        "loss in validation": losses[-1][1],
        "by the least": losses[-1][1] / least,
        "accuracy": accuracies[-1],
        "best accuracy": max(accuracies),
    }


def fine(outcome: Outcome) -> bool:
    measured = outcome.measured
    return measured["accuracy"] > 0.94 and measured["best accuracy"] - measured["accuracy"] < 0.02
