"""The schedule is made anew in each epoch.

Symptom: at the end the rate is four fifths of what it was at first, where it should be 0, and the
parameters go on to jump about the solution instead of settling at it.

Cause: a schedule counts from 0 when it is made. Made within the loop it takes each epoch for the
first, and makes the first step down a cosine, its smallest, again and again.

Cure: make it once, before the loop, next to the optimizer.

Met: where one epoch of training was put into a function that makes all that it needs.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "schedule-restarted"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    X, weights = torch.randn(800, 20), torch.randn(20, 1)
    Y = X @ weights + torch.randn(800, 1)
    model = nn.Linear(20, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    for _ in range(12):
        scheduler = CosineAnnealingLR(optimizer, T_max=12)
        for rows in torch.randperm(800).split(8):
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    best = torch.linalg.lstsq(X, Y).solution
    return {
        "last rate": optimizer.param_groups[0]["lr"],
        "distance from the solution": (model.weight - best.T).square().sum().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    X, weights = torch.randn(800, 20), torch.randn(20, 1)
    Y = X @ weights + torch.randn(800, 1)
    model = nn.Linear(20, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    scheduler = CosineAnnealingLR(optimizer, T_max=12)
    for _ in range(12):
        for rows in torch.randperm(800).split(8):
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    best = torch.linalg.lstsq(X, Y).solution
    return {
        "last rate": optimizer.param_groups[0]["lr"],
        "distance from the solution": (model.weight - best.T).square().sum().item(),
    }


def shows(outcome: Outcome) -> bool:
    return (
        outcome.measured["last rate"] > 0.02
        and outcome.measured["distance from the solution"] > 0.01
    )
