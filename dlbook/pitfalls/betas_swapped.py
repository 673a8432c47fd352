"""Adam's two betas stand in the wrong order.

Symptom: the error falls for some epochs; then it swings up and down, and does not settle.

Cause: the first beta is for the mean gradient, the second for the mean square. Swapped, a step
follows the gradients of the last thousand steps and is scaled by those of the last ten: it runs on
far beyond each minimum, and the smaller the slope there, the longer it is.

Cure: put the smaller one first, ``betas=(0.9, 0.999)``.

Met: where both are given by position.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_friedman1
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "betas-swapped"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_friedman1(400, n_features=6, noise=0.3, random_state=seed)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)[:, None]
    model = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05, betas=(0.999, 0.9))
    errors = []
    for _ in range(60):
        for rows in torch.randperm(300).split(30):
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            errors.append(nn.functional.mse_loss(model(X[300:]), Y[300:]).item())
    return {"least": min(errors), "highest of the last 20": max(errors[-20:])}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_friedman1(400, n_features=6, noise=0.3, random_state=seed)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)[:, None]
    model = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05, betas=(0.9, 0.999))
    errors = []
    for _ in range(60):
        for rows in torch.randperm(300).split(30):
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            errors.append(nn.functional.mse_loss(model(X[300:]), Y[300:]).item())
    return {"least": min(errors), "highest of the last 20": max(errors[-20:])}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["highest of the last 20"] > 0.45
