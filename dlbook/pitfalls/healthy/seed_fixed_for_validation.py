"""The seed is set anew in each epoch.

Suspicious: ``manual_seed`` is called within the loop, always with the same number.

Right: it is called for validation alone, in which noise is added to the images, so that each epoch
meets the same noise and only the network is another. The generator is put back afterwards, and
training draws on.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
    train, validation = X[:1400], X[1400:]
    model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 64), nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    errors = []
    for _ in range(12):
        model.train()
        for batch in train[torch.randperm(len(train))].split(50):
            noisy = batch + 0.3 * torch.randn_like(batch)
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(noisy), batch)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            noisy = validation + 0.3 * torch.randn_like(validation)
            errors.append(nn.functional.mse_loss(model(noisy), validation).item())
    return {"part of the noise left": errors[-1] / 0.09, "first": errors[0] / 0.09}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["part of the noise left"] < 0.4
