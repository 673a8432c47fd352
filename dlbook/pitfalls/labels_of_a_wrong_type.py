"""Labels are floats where whole numbers are asked for.

Symptom: the first loss raises a RuntimeError: it expected labels of type Long and got Float.

Cause: the whole table was read as float32, and its last column, the classes, with it. Cross-
entropy takes classes of type int64; floats it takes only as a probability for each class.

Cure: turn the column into int64 with ``long``.

Met: where inputs and labels come from one array of floats; in the same way with labels of
int32 from other libraries.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from sklearn.datasets import load_iris
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "labels-of-wrong-type"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    file = io.StringIO()
    np.savetxt(file, np.column_stack([inputs, labels]), delimiter=",")
    file.seek(0)
    table = torch.tensor(np.loadtxt(file, delimiter=",", dtype=np.float32))
    table = table[torch.randperm(len(table))]
    X, y = table[:, :4], table[:, 4]
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(X[:100]), y[:100])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    accuracy = (model(X[100:]).argmax(1) == y[100:]).float().mean()
    return {"accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    file = io.StringIO()
    np.savetxt(file, np.column_stack([inputs, labels]), delimiter=",")
    file.seek(0)
    table = torch.tensor(np.loadtxt(file, delimiter=",", dtype=np.float32))
    table = table[torch.randperm(len(table))]
    X, y = table[:, :4], table[:, 4].long()
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(X[:100]), y[:100])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    accuracy = (model(X[100:]).argmax(1) == y[100:]).float().mean()
    return {"accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return "Long" in outcome.error and "Float" in outcome.error
