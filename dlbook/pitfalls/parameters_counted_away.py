"""The parameters are counted, and then none are left for the optimizer.

Symptom: the optimizer raises a ValueError: it got an empty parameter list.

Cause: ``model.parameters()`` is a generator, which gives each parameter once. The count has used
it up.

Cure: make a list of it, or call ``model.parameters()`` again.

Met: where the number of parameters is reported before training, and where gradients are to be
clipped by the same name that the optimizer was given.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_iris
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "parameters-used-up"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 16), nn.Mish(), nn.Linear(16, 3))
    parameters = model.parameters()
    numbers = sum(parameter.numel() for parameter in parameters)
    optimizer = torch.optim.RAdam(parameters, lr=0.02)
    order = torch.randperm(150)
    for _ in range(30):
        for rows in order[:100].split(20):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
    model.eval()
    accuracy = (model(X[order[100:]]).argmax(1) == y[order[100:]]).float().mean().item()
    return {"numbers": numbers, "accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 16), nn.Mish(), nn.Linear(16, 3))
    parameters = list(model.parameters())
    numbers = sum(parameter.numel() for parameter in parameters)
    optimizer = torch.optim.RAdam(parameters, lr=0.02)
    order = torch.randperm(150)
    for _ in range(30):
        for rows in order[:100].split(20):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
    model.eval()
    accuracy = (model(X[order[100:]]).argmax(1) == y[order[100:]]).float().mean().item()
    return {"numbers": numbers, "accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return outcome.error == "ValueError: optimizer got an empty parameter list"
