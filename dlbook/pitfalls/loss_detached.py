"""The loss is taken out of its graph and wrapped anew, so that ``backward`` runs.

Symptom: nothing raises, and the error stays that of the untrained network.

Cause: a tensor made of a number knows nothing of the network. ``requires_grad=True`` makes it a
leaf of its own: ``backward`` gives it the gradient 1, and no parameter gets one.

Cure: call ``backward`` on what the loss function returned.

Met: as an answer to ``element 0 of tensors does not require grad``, and where losses pass through
NumPy or a list of numbers.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "loss-detached"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    X = torch.tensor(inputs, dtype=torch.float32) * 20
    Y = torch.tensor(targets, dtype=torch.float32)
    Y = (Y - Y.mean()) / Y.std()
    model = nn.Sequential(nn.Linear(10, 32), nn.SiLU(), nn.Linear(32, 1), nn.Flatten(0))
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.005)
    errors = []
    for _ in range(15):
        for rows in torch.randperm(400).split(50):
            squares = (model(X[rows]) - Y[rows]).square()
            loss = torch.tensor(squares.mean().item(), requires_grad=True)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            errors.append(nn.functional.mse_loss(model(X), Y).item())
    return {"after the first epoch": errors[0], "after the last epoch": errors[-1]}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    X = torch.tensor(inputs, dtype=torch.float32) * 20
    Y = torch.tensor(targets, dtype=torch.float32)
    Y = (Y - Y.mean()) / Y.std()
    model = nn.Sequential(nn.Linear(10, 32), nn.SiLU(), nn.Linear(32, 1), nn.Flatten(0))
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.005)
    errors = []
    for _ in range(15):
        for rows in torch.randperm(400).split(50):
            squares = (model(X[rows]) - Y[rows]).square()
            loss = squares.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            errors.append(nn.functional.mse_loss(model(X), Y).item())
    return {"after the first epoch": errors[0], "after the last epoch": errors[-1]}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["after the last epoch"] == outcome.measured["after the first epoch"]
