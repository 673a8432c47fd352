"""Weights decay at a hundred times the usual factor.

Suspicious: the weight decay is 1, and where an optimizer adds it to the gradient it would outweigh
the loss.

Right: AdamW multiplies the decay by the rate, so that a step takes a part of 0.003 of each weight
away. The weights stay small, and the network does as well as with little decay.
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
    order = torch.randperm(len(X))
    train, test = order[:300], order[300:]
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003, weight_decay=1.0)
    for _epoch in range(60):
        for rows in train[torch.randperm(len(train))].split(30):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
    accuracy = (model(X[test]).argmax(1) == y[test]).float().mean().item()
    largest = max(p.abs().max().item() for p in model.parameters())
    return {"accuracy": accuracy, "largest weight": largest}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.88
