"""Gradients are never cleared.

Symptom: the loss of a linear model, which should fall with every step, swings up and down and
does not settle.

Cause: ``backward`` adds to what ``grad`` holds. Without ``zero_grad`` each step follows the sum of
all gradients so far, as momentum of 1 would: a velocity that nothing slows down.

Cure: clear the gradients before each backward pass.

Met: in loops written from memory, and in those ported from frameworks where each backward pass
starts anew.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from sklearn.datasets import load_diabetes
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "gradients-not-cleared"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True, scaled=True)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor(targets, dtype=torch.float32)[:, None]
    X, Y = (X - X.mean(0)) / X.std(0), (Y - Y.mean()) / Y.std()
    model = nn.Linear(10, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(100):
        loss = nn.functional.mse_loss(model(X), Y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"rises": sum(b > a for a, b in pairwise(losses))}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True, scaled=True)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor(targets, dtype=torch.float32)[:, None]
    X, Y = (X - X.mean(0)) / X.std(0), (Y - Y.mean()) / Y.std()
    model = nn.Linear(10, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X), Y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"rises": sum(b > a for a, b in pairwise(losses))}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["rises"] > 20
