"""Nine of ten hidden units are left out in each step.

Suspicious: dropout is 0.9, and the loss in training stays above that in validation.

Right: the layer is wide, so that the hundred units left are enough, and there are few records. The
loss in training is that of a network with units left out, the one in validation of the whole.
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
    train, validation = torch.randperm(len(X)).split([600, len(X) - 600])
    model = nn.Sequential(nn.Linear(64, 1000), nn.ReLU(), nn.Dropout(0.9), nn.Linear(1000, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(20):
        model.train()
        losses = []
        for rows in train[torch.randperm(len(train))].split(50):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            logits = model(X[validation])
    return {
        "loss in training": sum(losses) / len(losses),
        "loss in validation": nn.functional.cross_entropy(logits, y[validation]).item(),
        "accuracy": (logits.argmax(1) == y[validation]).float().mean().item(),
    }


def fine(outcome: Outcome) -> bool:
    measured = outcome.measured
    above = measured["loss in training"] > measured["loss in validation"]
    return above and measured["accuracy"] > 0.9
