"""Linear layers follow each other with nothing in between.

Symptom: a network of three layers tells two rings apart no better than a coin, however wide it is
and however long it trains.

Cause: linear layers in a row are one linear layer, since ``(X W1) W2 = X (W1 W2)``. Its boundary
is a straight line, and no straight line parts a ring from the ring around it.

Cure: put an activation, such as ReLU, between each two layers.

Met: in networks put together as a list of widths, and in those rewritten from a framework in which
a layer brings its activation along.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_circles
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "no-nonlinearity"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, rings = make_circles(500, noise=0.05, factor=0.5, random_state=seed)
    X, y = torch.tensor(points, dtype=torch.float32), torch.tensor(rings)
    model = nn.Sequential(
        nn.Linear(2, 32),
        nn.Linear(32, 32),
        nn.Linear(32, 2),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()
    return {"accuracy": (model(X).argmax(1) == y).float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, rings = make_circles(500, noise=0.05, factor=0.5, random_state=seed)
    X, y = torch.tensor(points, dtype=torch.float32), torch.tensor(rings)
    model = nn.Sequential(
        nn.Linear(2, 32),
        nn.ReLU(),
        nn.Linear(32, 32),
        nn.ReLU(),
        nn.Linear(32, 2),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()
    return {"accuracy": (model(X).argmax(1) == y).float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.7
