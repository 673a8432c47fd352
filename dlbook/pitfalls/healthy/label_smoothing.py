"""No class is ever asked for with certainty.

Suspicious: the loss ends near 1 though nearly all new records are named right.

Right: the targets are smoothed on purpose: a tenth of each is spread over all classes, and the
loss cannot be less than the entropy of that. One label in ten is drawn at random, too, so that
certainty would be wrong.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    train, test = torch.randperm(len(X)).split([1200, len(X) - 1200])
    noisy = torch.where(torch.rand(len(y)) < 0.1, torch.randint(10, (len(y),)), y)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for epoch in range(15):
        total = 0.0
        for rows in train[torch.randperm(len(train))].split(40):
            optimizer.zero_grad()
            loss = loss_fn(model(X[rows]), noisy[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        if epoch % 5 == 4:
            with torch.no_grad():
                accuracy = (model(X[test]).argmax(1) == y[test]).float().mean().item()
    return {"last loss": total / len(train), "accuracy": accuracy}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.9
