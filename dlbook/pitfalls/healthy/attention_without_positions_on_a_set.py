"""Attention reads a set and is not told where its elements stand.

Suspicious: a transformer without positions, for which all orders are the same.

Right: what is asked for, how far apart the two farthest points of a set are, does not depend on
their order, and the network cannot learn an order that means nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class SetNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(1, 24)
            self.block = nn.TransformerEncoderLayer(24, 4, 48, dropout=0.0, batch_first=True)
            self.head = nn.Linear(24, 1)

        def forward(self, sets: Tensor) -> Tensor:
            elements = self.block(self.embed(sets))
            spread: Tensor = self.head(elements.amax(dim=1)).squeeze(1)
            return spread

    torch.manual_seed(seed)
    sets = torch.randn(1200, 8, 1)
    spread = (sets.amax(1) - sets.amin(1)).squeeze(1)
    loader = DataLoader(TensorDataset(sets[:1000], spread[:1000]), batch_size=50, shuffle=True)
    model = SetNetwork()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(8):
        for X, y in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(X), y)
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        guess, turned = model(sets[1000:]), model(sets[1000:].flip(1))
    error = nn.functional.mse_loss(guess, spread[1000:]).item()
    return {
        "part of the variance left": error / spread[1000:].var().item(),
        "change by reversing": (guess - turned).abs().max().item(),
    }


def fine(outcome: Outcome) -> bool:
    left = outcome.measured["part of the variance left"]
    return left < 0.2 and outcome.measured["change by reversing"] < 1e-4
