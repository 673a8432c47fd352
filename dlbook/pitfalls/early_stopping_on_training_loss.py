"""Early stopping watches the loss in training.

Symptom: training never stops before its last epoch, and by then the loss in validation is more than
half above its lowest.

Cause: the loss in training goes on to fall while the network learns its records by heart. It is the
loss on other records that turns.

Cure: watch the loss in validation.

Met: where both losses are at hand under names alike, and with helpers whose default is the
training loss.
"""

from __future__ import annotations

import math

import torch
from sklearn.datasets import make_classification
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "stopping-on-training-loss"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_classification(600, 30, flip_y=0.3, class_sep=1.5, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    train, valid = slice(0, 200), slice(200, 600)
    model = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    criterion = nn.CrossEntropyLoss()
    lowest, waited = math.inf, 0
    validations = []
    for _ in range(300):
        loss = criterion(model(X[train]), y[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            validations.append(criterion(model(X[valid]), y[valid]).item())
        watched = loss.item()
        lowest, waited = (watched, 0) if watched < lowest else (lowest, waited + 1)
        if waited == 5:
            break
    last, best = validations[-1], min(validations)
    return {"epochs": len(validations), "last validation": last, "lowest validation": best}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_classification(600, 30, flip_y=0.3, class_sep=1.5, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    train, valid = slice(0, 200), slice(200, 600)
    model = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    criterion = nn.CrossEntropyLoss()
    lowest, waited = math.inf, 0
    validations = []
    for _ in range(300):
        loss = criterion(model(X[train]), y[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            validations.append(criterion(model(X[valid]), y[valid]).item())
        watched = validations[-1]
        lowest, waited = (watched, 0) if watched < lowest else (lowest, waited + 1)
        if waited == 5:
            break
    last, best = validations[-1], min(validations)
    return {"epochs": len(validations), "last validation": last, "lowest validation": best}


def shows(outcome: Outcome) -> bool:
    return (
        outcome.measured["epochs"] == 300
        and outcome.measured["last validation"] > 1.5 * outcome.measured["lowest validation"]
    )
