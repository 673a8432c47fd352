"""Predictions lie above nine targets in ten.

Suspicious: the predictions are biased, all in the same direction, and their squared error is larger
than that of the mean.

Right: the loss charges nine times as much for a target above the prediction as for one below, and
what makes it least is the value that nine in ten stay under.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    x = torch.rand(3000, 1) * 4
    waits = torch.sin(x) + (0.2 + x / 4) * torch.empty(3000, 1).exponential_()
    ninth = torch.sin(x) + (0.2 + x / 4) * torch.log(torch.tensor(10.0))
    model = nn.Sequential(
        nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _epoch in range(20):
        for rows in torch.randperm(2000).split(50):
            under = waits[rows] - model(x[rows])
            loss = torch.maximum(0.9 * under, -0.1 * under).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        bound = model(x[2000:])
    left = (bound - ninth[2000:]).square().mean() / ninth[2000:].var()
    return {
        "part under the prediction": (waits[2000:] < bound).float().mean().item(),
        "part of the variance left": left.item(),
    }


def fine(outcome: Outcome) -> bool:
    measured = outcome.measured
    return (
        0.8 < measured["part under the prediction"] < 0.97
        and measured["part of the variance left"] < 0.6
    )
