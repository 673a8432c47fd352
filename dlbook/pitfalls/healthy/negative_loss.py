"""A density is fitted, and its loss falls below zero.

Suspicious: the loss is negative and goes on falling.

Right: the loss is the negative logarithm of a density, and a density may be above 1. Targets that
scatter by 0.05 around their curve have a density of 8 there. How low it can fall is known: the
network comes near the entropy of the noise.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    x = torch.rand(1200, 1) * 4 - 2
    scatter = 0.02 + 0.04 * (x + 2) / 4
    y = torch.sin(2 * x) / 2 + scatter * torch.randn(1200, 1)
    entropy = (scatter.log() + 0.5 * math.log(2 * math.pi * math.e)).mean()
    hidden = [nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh()]
    model = nn.Sequential(*hidden, nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 60)
    likelihood = nn.GaussianNLLLoss(full=True)
    for _ in range(60):
        for rows in torch.randperm(1000).split(100):
            mean, log_variance = model(x[rows]).chunk(2, dim=1)
            loss = likelihood(mean, y[rows], log_variance.exp())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        mean, log_variance = model(x[1000:]).chunk(2, dim=1)
        test_loss = likelihood(mean, y[1000:], log_variance.exp())
    return {"test loss": test_loss.item(), "entropy of the noise": entropy.item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["test loss"] < -0.5
