"""Layer normalization follows a layer of one unit.

Symptom: the prediction is the same for every example, about the mean of all targets.

Cause: layer normalization subtracts from the numbers of an example their mean. One number is its
own mean: zero is left, whatever the network computed, and the bias is added to it.

Cure: no normalization after the last layer.

Met: in networks built from one repeated block of layer, normalization and activation.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_friedman1
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "normalization-over-one-number"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_friedman1(400, n_features=6, random_state=seed)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)[:, None]
    model = nn.Sequential()
    for d_in, d_out in [(6, 32), (32, 32)]:
        model.extend([nn.Linear(d_in, d_out), nn.LayerNorm(d_out), nn.ReLU()])
    model.extend([nn.Linear(32, 1), nn.LayerNorm(1)])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(10):
        for rows in torch.randperm(300).split(30):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        predictions = model(X[300:])
    explained = 1 - (predictions - Y[300:]).square().mean() / Y[300:].var()
    return {"spread": predictions.std().item(), "explained": explained.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_friedman1(400, n_features=6, random_state=seed)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)[:, None]
    model = nn.Sequential()
    for d_in, d_out in [(6, 32), (32, 32)]:
        model.extend([nn.Linear(d_in, d_out), nn.LayerNorm(d_out), nn.ReLU()])
    model.extend([nn.Linear(32, 1)])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(10):
        for rows in torch.randperm(300).split(30):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        predictions = model(X[300:])
    explained = 1 - (predictions - Y[300:]).square().mean() / Y[300:].var()
    return {"spread": predictions.std().item(), "explained": explained.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["spread"] < 1e-6 and outcome.measured["explained"] < 0.1
