"""Dropout follows the last layer.

Symptom: in evaluation mode all predictions are too small: half of the targets, for a rate of 0.5.

Cause: in training each prediction is either set to zero or doubled. Squared error is then least
where the layer returns half of the target: once too high by nothing, once too low by all of it. In
evaluation mode nothing is doubled, and the half remains.

Cure: no dropout after the last layer.

Met: in networks built from one repeated block of layer, activation and dropout.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_friedman1
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "dropout-on-the-outputs"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_friedman1(500, n_features=5, random_state=seed)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor(targets, dtype=torch.float32)[:, None]
    loader = DataLoader(TensorDataset(X, Y), batch_size=25, shuffle=True)
    model = nn.Sequential(
        nn.Linear(5, 64),
        nn.ReLU(),
        nn.Linear(64, 1),
        nn.Dropout(0.5),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(25):
        for inputs, targets in loader:
            loss = nn.functional.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        predictions = model(X)
    error = (predictions - Y).square().mean() / Y.var()
    return {"mean_by_mean": (predictions.mean() / Y.mean()).item(), "explained": 1 - error.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_friedman1(500, n_features=5, random_state=seed)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor(targets, dtype=torch.float32)[:, None]
    loader = DataLoader(TensorDataset(X, Y), batch_size=25, shuffle=True)
    model = nn.Sequential(
        nn.Linear(5, 64),
        nn.ReLU(),
        nn.Linear(64, 1),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(25):
        for inputs, targets in loader:
            loss = nn.functional.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        predictions = model(X)
    error = (predictions - Y).square().mean() / Y.var()
    return {"mean_by_mean": (predictions.mean() / Y.mean()).item(), "explained": 1 - error.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["mean_by_mean"] < 0.7
