"""The hidden layer has fewer units than the shape needs.

Symptom: the loss settles early at a high value, on the very examples that the network learns from,
and longer training changes nothing.

Cause: two ReLU units bend the plane along two lines. The region above zero that they can make is
open to some side; no such region is the inside of a ring.

Cure: more units.

Met: where a network is kept tiny so that it will not overfit, before it was seen to fit at all.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_circles
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "too-little-capacity"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, rings = make_circles(400, noise=0.05, factor=0.4, random_state=seed)
    X = torch.tensor(points, dtype=torch.float32)
    Y = torch.tensor(rings, dtype=torch.float32)[:, None]
    units = 2
    model = nn.Sequential(nn.Linear(2, units), nn.ReLU(), nn.Linear(units, 1))
    loss_fn = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(400):
        optimizer.zero_grad()
        loss = loss_fn(model(X), Y)
        loss.backward()
        optimizer.step()
    accuracy = ((model(X) > 0) == (Y > 0)).float().mean()
    return {"loss": loss.item(), "accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, rings = make_circles(400, noise=0.05, factor=0.4, random_state=seed)
    X = torch.tensor(points, dtype=torch.float32)
    Y = torch.tensor(rings, dtype=torch.float32)[:, None]
    units = 16
    model = nn.Sequential(nn.Linear(2, units), nn.ReLU(), nn.Linear(units, 1))
    loss_fn = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(400):
        optimizer.zero_grad()
        loss = loss_fn(model(X), Y)
        loss.backward()
        optimizer.step()
    accuracy = ((model(X) > 0) == (Y > 0)).float().mean()
    return {"loss": loss.item(), "accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.9
