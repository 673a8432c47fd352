"""Half of each image is set to zero, and the network fills it in.

Suspicious: most inputs are zero, and the targets are the inputs themselves.

Right: the network is to tell what is hidden from what is not. The error is taken on the hidden
pixels alone, which it has not seen.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def hidden_error(filled: Tensor, images: Tensor, hidden: Tensor) -> Tensor:
    return ((filled - images).square() * hidden).sum() / hidden.sum()


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 16
    images = images[torch.randperm(len(images))]
    train, test = images[:1500], images[1500:]
    model = nn.Sequential(
        nn.Conv2d(2, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * 64, 64), nn.Unflatten(1, (1, 8, 8)),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(6):
        for rows in torch.randperm(1500).split(60):
            hidden = (torch.rand(len(rows), 1, 8, 8) < 0.5).float()
            filled = model(torch.cat([train[rows] * (1 - hidden), hidden], dim=1))
            loss = hidden_error(filled, train[rows], hidden)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        hidden = (torch.rand(len(test), 1, 8, 8) < 0.5).float()
        filled = model(torch.cat([test * (1 - hidden), hidden], dim=1))
        mean = train.mean(0, keepdim=True)
        return {
            "error": hidden_error(filled, test, hidden).item(),
            "error of the mean image": hidden_error(mean, test, hidden).item(),
        }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["error"] < 0.75 * outcome.measured["error of the mean image"]
