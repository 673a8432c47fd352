"""Validation runs with gradients turned on.

Suspicious: nothing stands under ``no_grad``, also in evaluation mode, and the loss is made of a
derivative.

Right: the network gives an energy, and what is compared with the data are forces, which are its
slope. Without a graph there is no slope, in validation either.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    places = 3 * torch.rand(1200, 2) - 1.5
    x, y = places.unbind(1)
    forces = torch.stack([-4 * x * (x.square() - 1) - y, -2 * y - x], dim=1)
    forces = forces + 0.05 * torch.randn(1200, 2)
    train = DataLoader(TensorDataset(places[:900], forces[:900]), batch_size=50, shuffle=True)
    validation = DataLoader(TensorDataset(places[900:], forces[900:]), batch_size=100)
    energy = nn.Sequential(
        nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1)
    )
    optimizer = torch.optim.Adam(energy.parameters(), lr=0.01)

    def predicted(places: Tensor) -> Tensor:
        places = places.detach().requires_grad_()
        (slope,) = torch.autograd.grad(energy(places).sum(), places, create_graph=energy.training)
        return -slope

    for _epoch in range(20):
        energy.train()
        for R, F in train:
            loss = nn.functional.mse_loss(predicted(R), F)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        energy.eval()
        errors = [nn.functional.mse_loss(predicted(R), F).item() for R, F in validation]
    return {
        "part of the variance left": sum(errors) / len(errors) / forces[900:].var(0).mean().item()
    }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["part of the variance left"] < 0.1
