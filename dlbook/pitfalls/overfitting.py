"""A large network learns a few records for too long.

Symptom: the loss in training goes to 0, and that in validation falls at first and then rises
to many times its least.

Cause: the network has room for every record, wrong labels included. Once all are right the
loss asks only for larger logits, and each mistake in validation is made with ever more
certainty.

Cure: stop when the loss in validation has not fallen for a while.

Met: with few records, and where only the loss in training is looked at, which goes on falling.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_moons
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "fit"
FINDING = "overfitting"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_moons(360, noise=0.35, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    train, validation = torch.arange(360).split([60, 300])
    model = nn.Sequential(
        nn.Linear(2, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(400):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[train]), y[train])
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(nn.functional.cross_entropy(model(X[validation]), y[validation]).item())
    accuracy = (model(X[validation]).argmax(1) == y[validation]).float().mean().item()
    return {"last loss by least": losses[-1] / min(losses), "accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_moons(360, noise=0.35, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    train, validation = torch.arange(360).split([60, 300])
    model = nn.Sequential(
        nn.Linear(2, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(400):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[train]), y[train])
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(nn.functional.cross_entropy(model(X[validation]), y[validation]).item())
        if min(losses) < min(losses[-10:]):
            break
    accuracy = (model(X[validation]).argmax(1) == y[validation]).float().mean().item()
    return {"last loss by least": losses[-1] / min(losses), "accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["last loss by least"] > 2
