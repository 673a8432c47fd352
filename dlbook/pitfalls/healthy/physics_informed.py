"""A network is trained on an equation, without data.

Suspicious: there are no targets, and the loss holds derivatives by the input, taken inside the
loop.

Right: what is asked of the network u is that u″ = −u and u(0) = 0, u′(0) = 1. Where the loss is
small, u is near the solution, the sine.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def derivative(u: Tensor, t: Tensor) -> Tensor:
    return torch.autograd.grad(u.sum(), t, create_graph=True)[0]


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    u = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = torch.optim.Adam(u.parameters(), lr=0.005)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.997)
    start = torch.zeros(1, 1, requires_grad=True)
    for _ in range(600):
        t = (3 * torch.rand(64, 1)).requires_grad_()
        value = u(t)
        residual = derivative(derivative(value, t), t) + value
        first = u(start)
        loss = residual.square().mean()
        loss = loss + 5 * (first.square() + (derivative(first, start) - 1).square()).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    t = torch.linspace(0, 3, 50)[:, None]
    with torch.no_grad():
        error = (u(t) - t.sin()).abs().max()
    return {"largest error": error.item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["largest error"] < 0.3
