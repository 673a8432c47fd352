"""Targets of shape (n,) are compared with predictions of shape (n, 1).

Symptom: the network learns one number, the mean of the targets, and says it for every record.
PyTorch warns that target and input differ in size.

Cause: the difference of shapes (n, 1) and (n,) has shape (n, n): each prediction is compared with
every target. What is nearest to all targets at once is their mean.

Cure: give the targets the shape of the predictions.

Met: where targets come as a column of a table, of shape (n,), and the network ends with a layer of
one output, which makes (n, 1). In a loss written by hand nothing warns.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_friedman1
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "targets-broadcast"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_friedman1(600, n_features=6, noise=0.5, random_state=seed)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)
    loader = DataLoader(TensorDataset(X[:500], Y[:500]), batch_size=25, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 32), nn.ELU(), nn.Linear(32, 16), nn.ELU(), nn.Linear(16, 1))
    criterion = nn.MSELoss()
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.005)
    for _ in range(20):
        for inputs, targets in loader:
            optimizer.zero_grad()
            criterion(model(inputs), targets).backward()
            optimizer.step()
    with torch.no_grad():
        predictions, wanted = model(X[500:]).flatten(), Y[500:].flatten()
    unexplained = (predictions - wanted).square().mean() / wanted.var()
    return {"spread": predictions.std().item(), "explained": 1 - unexplained.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_friedman1(600, n_features=6, noise=0.5, random_state=seed)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)[:, None]
    loader = DataLoader(TensorDataset(X[:500], Y[:500]), batch_size=25, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 32), nn.ELU(), nn.Linear(32, 16), nn.ELU(), nn.Linear(16, 1))
    criterion = nn.MSELoss()
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.005)
    for _ in range(20):
        for inputs, targets in loader:
            optimizer.zero_grad()
            criterion(model(inputs), targets).backward()
            optimizer.step()
    with torch.no_grad():
        predictions, wanted = model(X[500:]).flatten(), Y[500:].flatten()
    unexplained = (predictions - wanted).square().mean() / wanted.var()
    return {"spread": predictions.std().item(), "explained": 1 - unexplained.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["spread"] < 0.3 and outcome.measured["explained"] < 0.2
