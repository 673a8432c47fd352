"""A network with dropout is evaluated in training mode.

Symptom: two evaluations of the same network on the same records, one right after the other, give
two different losses.

Cause: without ``model.eval()`` dropout goes on to leave units out, drawn anew at each call: what is
measured is a network with half its units.

Cure: ``model.eval()`` before the evaluation, ``model.train()`` before training goes on.

Met: where ``torch.no_grad()`` is taken to do both; it stops the graph and leaves the mode as it is.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "evaluation-in-training-mode"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    X = torch.tensor(scale(inputs), dtype=torch.float32)
    Y = torch.tensor(labels, dtype=torch.float32)[:, None]
    train, valid = torch.randperm(len(X)).split([400, 169])
    model = nn.Sequential(
        nn.Linear(30, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 16), nn.ReLU(), nn.Dropout()
    ).append(nn.Linear(16, 1))
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(12):
        model.train()
        for rows in train[torch.randperm(400)].split(25):
            optimizer.zero_grad()
            criterion(model(X[rows]), Y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            loss, again = (criterion(model(X[valid]), Y[valid]).item() for _ in range(2))
    return {"loss": loss, "the same again": again}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    X = torch.tensor(scale(inputs), dtype=torch.float32)
    Y = torch.tensor(labels, dtype=torch.float32)[:, None]
    train, valid = torch.randperm(len(X)).split([400, 169])
    model = nn.Sequential(
        nn.Linear(30, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 16), nn.ReLU(), nn.Dropout()
    ).append(nn.Linear(16, 1))
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(12):
        model.train()
        for rows in train[torch.randperm(400)].split(25):
            optimizer.zero_grad()
            criterion(model(X[rows]), Y[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            loss, again = (criterion(model(X[valid]), Y[valid]).item() for _ in range(2))
    return {"loss": loss, "the same again": again}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss"] != outcome.measured["the same again"]
