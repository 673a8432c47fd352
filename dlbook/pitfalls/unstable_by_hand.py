"""The logarithm of a sigmoid is computed in two steps.

Symptom: the loss falls well and then is NaN, and with it all weights.

Cause: in single precision the sigmoid of 17 is exactly 1. Then 1 - p is 0, its logarithm negative
infinity, and 0 times that NaN. The better the network gets, the sooner a logit is that large.

Cure: compute both logarithms from the logit, with ``logsigmoid``; or take
``binary_cross_entropy_with_logits``, which does.

Met: in losses typed from the formula.
"""

from __future__ import annotations

import math

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "logarithm-of-zero"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    X, y = torch.tensor(inputs).float(), torch.tensor(labels).float()
    X = (X - X.mean(0)) / X.std(0)
    model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    order = torch.randperm(len(X))
    train, test = order[:400], order[400:]
    for _ in range(60):
        for rows in train[torch.randperm(400)].split(80):
            z = model(X[rows])
            p = torch.sigmoid(z)
            log_p, log_not_p = torch.log(p), torch.log(1 - p)
            loss = -(y[rows] * log_p + (1 - y[rows]) * log_not_p).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = ((model(X[test]) > 0) == (y[test] == 1)).float().mean().item()
    return {"finite": math.isfinite(loss.item()), "accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    X, y = torch.tensor(inputs).float(), torch.tensor(labels).float()
    X = (X - X.mean(0)) / X.std(0)
    model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    order = torch.randperm(len(X))
    train, test = order[:400], order[400:]
    for _ in range(60):
        for rows in train[torch.randperm(400)].split(80):
            z = model(X[rows])
            log_p, log_not_p = nn.functional.logsigmoid(z), nn.functional.logsigmoid(-z)
            loss = -(y[rows] * log_p + (1 - y[rows]) * log_not_p).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = ((model(X[test]) > 0) == (y[test] == 1)).float().mean().item()
    return {"finite": math.isfinite(loss.item()), "accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return not outcome.measured["finite"] and outcome.measured["accuracy"] < 0.6
