"""Each step looks at the gradient a little uphill.

Suspicious: weights are changed between two backward passes, the first gradient is thrown away
before any step has used it, and each batch is passed twice.

Right: the first gradient says which way is uphill. The second, taken there, is what the step
follows, from where the weights were before: it avoids minima with steep walls.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    table, kinds = load_wine(return_X_y=True)
    X, y = torch.tensor(table, dtype=torch.float32), torch.tensor(kinds)
    train, test = torch.randperm(178).split(120)
    X = (X - X[train].mean(0)) / X[train].std(0)
    model = nn.Sequential(nn.Linear(13, 24), nn.ReLU(), nn.Linear(24, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(15):
        for rows in train[torch.randperm(120)].split(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
            uphill = [0.05 * gradient / (norm + 1e-12) for gradient in gradients]
            with torch.no_grad():
                for p, move in zip(model.parameters(), uphill, strict=True):
                    p.add_(move)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            with torch.no_grad():
                for p, move in zip(model.parameters(), uphill, strict=True):
                    p.sub_(move)
            optimizer.step()
    with torch.no_grad():
        return {"accuracy": (model(X[test]).argmax(1) == y[test]).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
