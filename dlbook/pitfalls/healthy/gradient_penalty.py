"""A critic is held to slopes of one by a penalty on its own gradient.

Suspicious: a gradient is computed inside the loss and differentiated again, and the loss is
negative.

Right: with slopes of at most one, the largest difference of means that a critic can reach is the
distance over which one cloud must be moved to become the other. The clouds are three apart; as the
penalty lets slopes go a little above one, the critic says three and a half.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    here = torch.randn(2000, 2)
    there = torch.randn(2000, 2) + torch.tensor([1.8, 2.4])
    critic = nn.Sequential(nn.Linear(2, 32), nn.Softplus(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.01, betas=(0.5, 0.9))
    for _ in range(300):
        a, b = here[torch.randint(2000, (64,))], there[torch.randint(2000, (64,))]
        mixed = torch.lerp(a, b, torch.rand(64, 1)).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        loss = critic(a).mean() - critic(b).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        distance = critic(there).mean() - critic(here).mean()
    return {"distance": distance.item()}


def fine(outcome: Outcome) -> bool:
    return 2.0 < outcome.measured["distance"] < 4.0
