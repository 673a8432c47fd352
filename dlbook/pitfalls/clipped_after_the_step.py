"""Gradients are clipped after the step that used them.

Symptom: the loss becomes NaN, although gradients are clipped.

Cause: the step has been made with the gradients as they were. What is clipped then is cleared
before the next backward pass, and nothing has used it.

Cure: clip between ``backward`` and ``step``.

Met: where clipping is added to a loop that exists, on the line below the last one.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "clipped-after-the-step"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.randn(400, 6)
    Y = X[:, :1] * X[:, 1:2] + X[:, 2:3] + 0.1 * torch.randn(400, 1)
    Y[::25] *= 1000  # as a sensor sends now and then
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(40):
        for rows in torch.randperm(300).split(20):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(X[rows]), Y[rows]).backward()
            optimizer.step()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5)
    with torch.no_grad():
        off = (model(X[300:]) - Y[300:]).abs().flatten().median()
    return {"error": (off / Y[300:].abs().median()).item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.randn(400, 6)
    Y = X[:, :1] * X[:, 1:2] + X[:, 2:3] + 0.1 * torch.randn(400, 1)
    Y[::25] *= 1000  # as a sensor sends now and then
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(40):
        for rows in torch.randperm(300).split(20):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(X[rows]), Y[rows]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5)
            optimizer.step()
    with torch.no_grad():
        off = (model(X[300:]) - Y[300:]).abs().flatten().median()
    return {"error": (off / Y[300:].abs().median()).item()}


def shows(outcome: Outcome) -> bool:
    return not outcome.measured["error"] < 1  # NaN is not
