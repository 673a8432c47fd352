"""Two losses are passed back one after the other through the same layers.

Suspicious: the graph is kept by ``retain_graph`` and gradients are not cleared in between.

Right: the first pass is told to keep the graph because the second one needs it; that one lets it
go. What both leave in the gradients adds up, as one pass of the sum would.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    table, progression = load_diabetes(return_X_y=True)
    X = torch.tensor(table, dtype=torch.float32)
    y = torch.tensor(progression, dtype=torch.float32)[:, None]
    train, test = torch.randperm(len(X)).split(340)
    X = X / X[train].std(0)
    y = (y - y[train].mean()) / y[train].std()
    high = (y > 0).float()
    trunk = nn.Sequential(nn.Linear(10, 24), nn.Tanh())
    amount, alarm = nn.Linear(24, 1), nn.Linear(24, 1)
    parameters = [*trunk.parameters(), *amount.parameters(), *alarm.parameters()]
    optimizer = torch.optim.Adagrad(parameters, lr=0.05)
    for _ in range(25):
        for rows in train[torch.randperm(340)].split(34):
            optimizer.zero_grad()
            features = trunk(X[rows])
            nn.functional.mse_loss(amount(features), y[rows]).backward(retain_graph=True)
            nn.functional.binary_cross_entropy_with_logits(alarm(features), high[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        features = trunk(X[test])
        error = nn.functional.mse_loss(amount(features), y[test]) / y[test].var()
        right = (alarm(features) > 0) == (high[test] == 1)
    return {
        "variance explained": 1 - error.item(),
        "accuracy of the alarm": right.float().mean().item(),
        "share of alarms": high[test].mean().item(),
    }


def fine(outcome: Outcome) -> bool:
    explained = outcome.measured["variance explained"]
    return explained > 0.2 and outcome.measured["accuracy of the alarm"] > 0.6
