"""Five networks are trained at once, as one with an axis more.

Suspicious: the predictions have another shape than the targets, which are repeated to match, and
one loss drives networks that have nothing in common.

Right: the targets are repeated on purpose, once for each network. No weight is shared, so that each
gets its own gradient alone; the sum over networks keeps it as large as if each were by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Linears(nn.Module):
        def __init__(self, networks: int, inputs: int, outputs: int) -> None:
            super().__init__()
            limit = inputs**-0.5
            self.W = nn.Parameter(torch.empty(networks, inputs, outputs).uniform_(-limit, limit))
            self.b = nn.Parameter(torch.zeros(networks, 1, outputs))

        def forward(self, X: Tensor) -> Tensor:
            return torch.baddbmm(self.b, X, self.W)

    torch.manual_seed(seed)
    X = 4 * torch.rand(300, 1) - 2
    y = torch.sin(3 * X) + 0.1 * torch.randn(300, 1)
    model = nn.Sequential(Linears(5, 1, 50), nn.Tanh(), Linears(5, 50, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(800):
        rows = torch.randint(200, (64,))
        guesses = model(X[rows].expand(5, -1, -1))
        losses = nn.functional.mse_loss(guesses, y[rows].expand_as(guesses), reduction="none")
        optimizer.zero_grad()
        losses.mean(dim=(1, 2)).sum().backward()
        optimizer.step()
    with torch.no_grad():
        guesses = model(X[200:].expand(5, -1, -1))
    errors = [
        nn.functional.mse_loss(guess, y[200:]).item() for guess in (*guesses, guesses.mean(0))
    ]
    left = [error / y[200:].var().item() for error in errors]
    return {"part of the variance left": left[-1], "by the worst alone": max(left[:-1])}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["by the worst alone"] < 0.3
