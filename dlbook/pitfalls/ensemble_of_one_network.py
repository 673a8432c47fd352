"""The members of an ensemble are one network.

Symptom: the members agree in every digit, so that the ensemble is no better than one of them and
says nothing of how sure it is.

Cause: ``[network] * 5`` is a list with the same object five times. Each is trained in turn, and
each is the one that all names mean.

Cure: make the network anew for each member.

Met: where a list is multiplied, a default argument is shared, or a copy is meant and a second name
is given.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_moons
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "one-network-several-names"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, labels = make_moons(300, noise=0.3, random_state=seed)
    X, y = torch.tensor(points, dtype=torch.float32), torch.tensor(labels)
    members = [nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))] * 5
    for model in members:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(8):
            for rows in torch.randint(200, (200,)).split(20):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
                optimizer.step()
    with torch.no_grad():
        P = torch.stack([model(X[200:]).softmax(1) for model in members])
    accuracy = (P.mean(0).argmax(1) == y[200:]).float().mean()
    return {"accuracy": accuracy.item(), "disagreement": P[:, :, 1].std(0).max().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, labels = make_moons(300, noise=0.3, random_state=seed)
    X, y = torch.tensor(points, dtype=torch.float32), torch.tensor(labels)
    members = [nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)) for _ in range(5)]
    for model in members:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(8):
            for rows in torch.randint(200, (200,)).split(20):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
                optimizer.step()
    with torch.no_grad():
        P = torch.stack([model(X[200:]).softmax(1) for model in members])
    accuracy = (P.mean(0).argmax(1) == y[200:]).float().mean()
    return {"accuracy": accuracy.item(), "disagreement": P[:, :, 1].std(0).max().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["disagreement"] == 0
