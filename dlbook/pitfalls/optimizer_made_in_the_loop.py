"""The optimizer is made anew for each batch.

Symptom: momentum makes no difference: the loss falls as slowly as without it.

Cause: the velocity is kept in the optimizer. A new one starts at rest, so that every step is a
first step.

Cure: make the optimizer once, before the loop.

Met: where one step is a function that makes all it needs, and where the optimizer is made anew to
change its rate.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "optimizer-made-in-the-loop"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)[:, None]
    X = X / X.std(0)
    model = nn.Linear(10, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.00015, momentum=0.95)
    for _ in range(20):
        for rows in torch.randperm(len(X)).split(17):
            optimizer = torch.optim.SGD(model.parameters(), lr=0.00015, momentum=0.95)
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    explained = 1 - (model(X) - Y).square().mean().item()
    return {"explained": explained}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)[:, None]
    X = X / X.std(0)
    model = nn.Linear(10, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.00015, momentum=0.95)
    for _ in range(20):
        for rows in torch.randperm(len(X)).split(17):
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    explained = 1 - (model(X) - Y).square().mean().item()
    return {"explained": explained}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["explained"] < 0.43
