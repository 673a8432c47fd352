"""Targets of the size of hundreds are learned as they are.

Symptom: the loss is of the size of ten thousand and falls slowly; after all epochs the network
predicts worse than the mean of the targets would, which makes R² negative.

Cause: a network's first predictions are near 0, and Adam moves each parameter by about its
rate a step, however large the gradient is. The many steps to the targets' mean are spent
before anything is learned of their differences.

Cure: subtract the mean of the training targets and divide by their standard deviation; turn
predictions back with the same two numbers.

Met: in regression on prices, ages or counts, after the inputs were scaled with care.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "targets-unscaled"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    order = torch.randperm(len(inputs))
    X = torch.tensor(inputs, dtype=torch.float32)[order] * len(inputs) ** 0.5
    Y = torch.tensor(targets, dtype=torch.float32)[order, None]
    loader = DataLoader(TensorDataset(X[:342], Y[:342]), batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.MSELoss()
    for _ in range(30):
        for xb, yb in loader:
            optimizer.zero_grad()
            criterion(model(xb), yb).backward()
            optimizer.step()
    with torch.no_grad():
        error = criterion(model(X[342:]), Y[342:])
    return {"R²": 1 - (error / Y[342:].var()).item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    order = torch.randperm(len(inputs))
    X = torch.tensor(inputs, dtype=torch.float32)[order] * len(inputs) ** 0.5
    Y = torch.tensor(targets, dtype=torch.float32)[order, None]
    Y = (Y - Y[:342].mean()) / Y[:342].std()
    loader = DataLoader(TensorDataset(X[:342], Y[:342]), batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.MSELoss()
    for _ in range(30):
        for xb, yb in loader:
            optimizer.zero_grad()
            criterion(model(xb), yb).backward()
            optimizer.step()
    with torch.no_grad():
        error = criterion(model(X[342:]), Y[342:])
    return {"R²": 1 - (error / Y[342:].var()).item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["R²"] < 0
