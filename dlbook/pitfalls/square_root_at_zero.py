"""The square root is taken where it may be zero.

Symptom: the loss is a number at the first step and NaN at all later ones; so is every weight.

Cause: the distance of an example to itself is the root of zero. The derivative of the root is
infinite there, that of the square inside it is zero, and their product is NaN. A single NaN in the
gradient of a shared weight makes the weight NaN, and then all the rest.

Cure: add a small number below the root.

Met: in distances between all pairs of a batch, in norms of vectors that may be zero, and in
standard deviations of values that may be equal.
"""

from __future__ import annotations

import math

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "nan-gradient"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels)
    same = y[:, None] == y
    model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        points = model(X)
        squares = (points[:, None] - points).square().sum(2)
        distances = squares.sqrt()
        near = distances[same].square().mean()
        far = torch.relu(3 - distances[~same]).square().mean()
        loss = near + far
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"first_loss": losses[0], "last_loss": losses[-1]}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels)
    same = y[:, None] == y
    model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        points = model(X)
        squares = (points[:, None] - points).square().sum(2)
        distances = (squares + 1e-8).sqrt()
        near = distances[same].square().mean()
        far = torch.relu(3 - distances[~same]).square().mean()
        loss = near + far
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"first_loss": losses[0], "last_loss": losses[-1]}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["first_loss"] > 0 and math.isnan(outcome.measured["last_loss"])
