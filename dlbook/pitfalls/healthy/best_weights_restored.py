"""Training goes on until it has harmed, and the best weights are put back.

Suspicious: the loss in validation rises in the last epochs, and the weights at the end are not
those of the last step.

Right: the weights of the best epoch were copied, not referred to, and training stopped once ten
epochs had brought nothing better. Test examples decided nothing.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.randn(1700, 20)
    y = (X[:, 0] * 1.5 - X[:, 1] + X[:, 2] + torch.randn(1700) > 0).float()[:, None]
    train, val, test = torch.arange(1700).split([200, 500, 1000])
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1))
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    best, waited, kept = float("inf"), 0, copy.deepcopy(model.state_dict())
    while waited < 10:
        model.train()
        for rows in train[torch.randperm(200)].split(20):
            optimizer.zero_grad()
            criterion(model(X[rows]), y[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            val_loss = criterion(model(X[val]), y[val]).item()
        waited += 1
        if val_loss < best:
            best, waited, kept = val_loss, 0, copy.deepcopy(model.state_dict())
    with torch.no_grad():
        last = criterion(model(X[test]), y[test]).item()
        model.load_state_dict(kept)
        logits = model(X[test])
    accuracy = ((logits > 0) == (y[test] == 1)).float().mean().item()
    test_loss = criterion(logits, y[test]).item()
    return {"loss at the end": last, "test loss": test_loss, "test accuracy": accuracy}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["test accuracy"] > 0.7
