"""The last layer is followed by ReLU.

Suspicious: the network can predict nothing below 0, and gives exactly 0 for many records, with no
gradient from these.

Right: the targets are amounts, many of them exactly 0 and none below. Where the target is 0 and the
output too, there is nothing to learn; the bias starts above 0, so that few outputs are 0 at first.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.randn(2000, 5)
    amounts = (X[:, :1] + X[:, 1:2] * X[:, 2:3] + 0.1 * torch.randn(2000, 1)).clamp(min=0)
    model = nn.Sequential(
        nn.Linear(5, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1), nn.ReLU()
    )
    nn.init.constant_(model.get_parameter("4.bias"), 0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(15):
        for rows in torch.randperm(1500).split(50):
            loss = nn.functional.mse_loss(model(X[rows]), amounts[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        guess, wanted = model(X[1500:]), amounts[1500:]
    return {
        "part that is zero": (guess == 0).float().mean().item(),
        "variance explained": 1 - ((guess - wanted).square().mean() / wanted.var()).item(),
    }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["variance explained"] > 0.8
