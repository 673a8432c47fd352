"""All data make one batch.

Suspicious: nothing is shuffled or cut into batches, and an epoch has a single step.

Right: the gradient is that of the whole loss, without noise. Where the data fit into memory and are
few, this is plain gradient descent; the order of rows then means nothing.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_moons
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, labels = make_moons(600, noise=0.15, random_state=seed)
    X, y = torch.tensor(points, dtype=torch.float32), torch.tensor(labels)
    X_train, y_train, X_val, y_val = X[:400], y[:400], X[400:], y[400:]
    model = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    best = 0.0
    for epoch in range(300):
        model.train()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X_train), y_train)
        loss.backward()
        optimizer.step()
        if epoch % 50 == 49:
            model.eval()
            with torch.no_grad():
                val_accuracy = (model(X_val).argmax(1) == y_val).float().mean().item()
            best = max(best, val_accuracy)
    return {"validation accuracy": val_accuracy, "best": best}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["validation accuracy"] > 0.9
