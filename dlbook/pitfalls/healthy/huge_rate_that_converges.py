"""A rate of 50, for inputs of a few hundredths.

Suspicious: the rate is thousands of times what tutorials take.

Right: each column of this table has length 1 over all rows, so that an input is near 0.05 and the
curvature of the loss below 0.02. Descent is stable up to a rate of 2 by the curvature, above 100
here; a rate of 0.01 would take thousands of times as many steps.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    table, progression = load_diabetes(return_X_y=True)
    order = torch.randperm(len(table))
    X = torch.tensor(table, dtype=torch.float32)[order]
    y = torch.tensor(progression, dtype=torch.float32)[order, None]
    mean = y[:340].mean()
    model = nn.Linear(10, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=50)
    criterion = nn.MSELoss()
    for _ in range(200):
        loss = criterion(model(X[:340]), y[:340] - mean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = criterion(model(X[340:]) + mean, y[340:])
        of_the_mean = criterion(mean.expand(102, 1), y[340:])
    return {"variance explained": 1 - (error / of_the_mean).item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["variance explained"] > 0.2
