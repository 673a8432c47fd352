"""Columns of very different sizes go in unscaled.

Symptom: the network answers with one and the same of the three sorts for every wine, and more
epochs change nothing.

Cause: one column is of the size of 1000, others of the size of 1. The gradient of a weight is
proportional to what comes in through it, so that the first steps, at a rate that suits the
small columns, throw the weights of the large one far off: every hidden unit gives 0 for all
wines from then on, its gradient is 0, and it never returns.

Cure: subtract from each column its mean over the training part and divide by its standard
deviation there.

Met: with tables of measurements in their own units, where trees and forests, which do not
mind, were tried before.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "inputs-unscaled"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(X))
    train, test = order[:120], order[120:]
    model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[train]), y[train])
        loss.backward()
        optimizer.step()
    answers = model(X[test]).argmax(1)
    accuracy = (answers == y[test]).float().mean()
    return {"accuracy": accuracy.item(), "different answers": len(answers.unique())}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(X))
    train, test = order[:120], order[120:]
    X = (X - X[train].mean(0)) / X[train].std(0)
    model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[train]), y[train])
        loss.backward()
        optimizer.step()
    answers = model(X[test]).argmax(1)
    accuracy = (answers == y[test]).float().mean()
    return {"accuracy": accuracy.item(), "different answers": len(answers.unique())}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.8 and outcome.measured["different answers"] == 1
