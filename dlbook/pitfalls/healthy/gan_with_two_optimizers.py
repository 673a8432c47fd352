"""Two networks play against each other, each with its own optimizer.

Suspicious: the generator's loss leaves gradients in the discriminator, which the generator's
optimizer does not hold, and neither of the two losses goes down.

Right: the discriminator clears what the generator left before it takes its own gradients, and each
optimizer moves its own network. Both losses stay near where the two are equal; what improves is the
samples.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    data = torch.randn(2000, 2) @ torch.tensor([[0.6, 0.4], [0.0, 0.3]]) + torch.tensor([2.0, -1.0])
    generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    discriminator = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=0.002, betas=(0.5, 0.9))
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=0.005, betas=(0.5, 0.9))
    bce = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
    for _ in range(500):
        real = data[torch.randint(len(data), (64,))]
        fake = generator(torch.randn(64, 4))

        optimizer_d.zero_grad()
        loss_d = bce(discriminator(real), ones) + bce(discriminator(fake.detach()), zeros)
        loss_d.backward()
        optimizer_d.step()

        optimizer_g.zero_grad()
        loss_g = bce(discriminator(fake), ones)
        loss_g.backward()
        optimizer_g.step()
    with torch.no_grad():
        samples = generator(torch.randn(1000, 4))
    return {
        "distance of the means": (samples.mean(0) - data.mean(0)).norm().item(),
        "discriminator's loss": loss_d.item(),
    }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["distance of the means"] < 0.7
