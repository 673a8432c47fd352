"""The size of the network is chosen by the loss in training.

Symptom: the largest network is chosen, and its loss on other records is higher than ln 2, that
of guessing between two.

Cause: more units make the loss smaller on the records that are learned, up to learning them by
heart. Whether they help on others, these records cannot tell.

Cure: choose by the loss on a validation part.

Met: where settings are compared by the last line that training prints.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_moons
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "fit"
FINDING = "chosen-by-training-loss"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_moons(1160, noise=0.35, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    train, later = torch.arange(1160).split([60, 1100])
    losses = {}
    for units in (2, 8, 1000):
        model = nn.Sequential(nn.Linear(2, units), nn.ReLU(), nn.Linear(units, 2))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(300):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[train]), y[train]).backward()
            optimizer.step()
        with torch.no_grad():
            losses[units] = nn.functional.cross_entropy(model(X), y, reduction="none")
    best = min(losses, key=lambda units: losses[units][train].mean().item())
    return {"units": best, "loss later": losses[best][later].mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_moons(1160, noise=0.35, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    train, validation, later = torch.arange(1160).split([60, 100, 1000])
    losses = {}
    for units in (2, 8, 1000):
        model = nn.Sequential(nn.Linear(2, units), nn.ReLU(), nn.Linear(units, 2))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(300):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[train]), y[train]).backward()
            optimizer.step()
        with torch.no_grad():
            losses[units] = nn.functional.cross_entropy(model(X), y, reduction="none")
    best = min(losses, key=lambda units: losses[units][validation].mean().item())
    return {"units": best, "loss later": losses[best][later].mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss later"] > 0.7
