"""Gradients are scaled down after each step instead of being cleared.

Suspicious: nothing clears the gradients, and each backward pass adds to what is there.

Right: what is left of the earlier ones shrinks by a tenth in each round. The sum is what momentum
of 0.9 keeps in a tensor of its own.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    table, benign = load_breast_cancer(return_X_y=True)
    X, y = torch.tensor(table, dtype=torch.float32), torch.tensor(benign)
    train, test = torch.randperm(len(X)).split(400)
    X = (X - X[train].mean(0)) / X[train].std(0)
    model = nn.Sequential(nn.Linear(30, 12), nn.Tanh(), nn.Linear(12, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    for _ in range(8):
        for rows in train[torch.randperm(400)].split(20):
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.mul_(0.9)
    with torch.no_grad():
        return {"accuracy": (model(X[test]).argmax(1) == y[test]).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
