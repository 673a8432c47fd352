"""The schedule is stepped before the optimizer.

Symptom: the first epoch runs at the rate meant for the second, and PyTorch warns of
``lr_scheduler.step()`` before ``optimizer.step()``.

Cause: a schedule sets the rate for the first epoch when it is made. A step at the head of the epoch
moves it on before that rate was used once.

Cure: step the schedule at the end of the epoch.

Met: in code written for PyTorch before 1.1, where the step stood at the head.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_iris
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "schedule-stepped-before-training"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32) - 3, torch.tensor(labels)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    scheduler = MultiStepLR(optimizer, milestones=[1, 20], gamma=0.2)
    rates = []
    for _ in range(25):
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
        for rows in torch.randperm(150).split(10):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = (model(X).argmax(1) == y).float().mean().item()
    return {"accuracy": accuracy, "rate of the first epoch": rates[0]}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32) - 3, torch.tensor(labels)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    scheduler = MultiStepLR(optimizer, milestones=[1, 20], gamma=0.2)
    rates = []
    for _ in range(25):
        rates.append(scheduler.get_last_lr()[0])
        for rows in torch.randperm(150).split(10):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    accuracy = (model(X).argmax(1) == y).float().mean().item()
    return {"accuracy": accuracy, "rate of the first epoch": rates[0]}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["rate of the first epoch"] < 0.1 and any(
        "`lr_scheduler.step()` before `optimizer.step()`" in warning for warning in outcome.warnings
    )
