"""Gradients are cleared after ``backward`` and before ``step``.

Symptom: the loss of each epoch is that of the first to all digits shown, and nothing raises.

Cause: ``zero_grad`` throws away what ``backward`` has just found. The optimizer sees parameters
without a gradient and leaves them as they are.

Cure: clear before ``backward``, or after ``step``.

Met: where the three calls are written from memory, and where a ``zero_grad`` is added in a hurry to
a loop that lacked one.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "gradients-cleared-before-step"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels)
    loader = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True)
    model = nn.Sequential(nn.Linear(13, 24), nn.Tanh(), nn.Linear(24, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    epochs = []
    for _ in range(8):
        total = 0.0
        for xb, yb in loader:
            loss = nn.functional.cross_entropy(model(xb), yb)
            loss.backward()
            optimizer.zero_grad()
            optimizer.step()
            total += loss.item() * len(xb)
        epochs.append(total / len(X))
    return {"first epoch": epochs[0], "last epoch": epochs[-1]}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels)
    loader = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True)
    model = nn.Sequential(nn.Linear(13, 24), nn.Tanh(), nn.Linear(24, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    epochs = []
    for _ in range(8):
        total = 0.0
        for xb, yb in loader:
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
        epochs.append(total / len(X))
    return {"first epoch": epochs[0], "last epoch": epochs[-1]}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["last epoch"] > 0.99 * outcome.measured["first epoch"]
