"""Codes of zeros and ones are learned through a step that has no slope.

Suspicious: the code is rounded in the middle of the network, and part of it is detached.

Right: forward the code is exact bits, and backward the rounding is passed as if it were not there,
which points the right way often enough to learn from.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class BinaryAutoencoder(nn.Module):
        def __init__(self, bits: int) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, bits))
            self.decoder = nn.Sequential(nn.Linear(bits, 64), nn.ReLU(), nn.Linear(64, 64))

        def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
            soft = self.encoder(X).sigmoid()
            code = soft + (soft.round() - soft).detach()
            return self.decoder(code), code

    torch.manual_seed(seed)
    X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
    model = BinaryAutoencoder(bits=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(12):
        for batch in X[torch.randperm(len(X))].split(60):
            restored, _ = model(batch)
            loss = nn.functional.mse_loss(restored, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        restored, code = model(X)
    return {
        "part of the variance left": ((restored - X).square().mean() / X.var(0).mean()).item(),
        "farthest from a bit": torch.minimum(code.abs(), (code - 1).abs()).max().item(),
    }


def fine(outcome: Outcome) -> bool:
    left = outcome.measured["part of the variance left"]
    return left < 0.6 and outcome.measured["farthest from a bit"] < 1e-6
