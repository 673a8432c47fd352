"""A trained network is tuned further with batches of four, its normalization kept fixed.

Suspicious: parts of the network are in evaluation mode while it trains.

Right: the statistics of four images are too rough to normalize by. Those from the first training
are kept and used, while all weights go on learning.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def freeze_statistics(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        module.eval()


def accuracy(model: nn.Module, X: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        share: float = (model(X).argmax(1) == y).float().mean().item()
    return share


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(digits.target)
    order = torch.randperm(len(X))
    train, tune, test = order.split([1000, 200, 597])
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3), nn.BatchNorm2d(24), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(4):
        model.train()
        for rows in train[torch.randperm(1000)].split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()

    mirrored = X.flip(3)
    before = accuracy(model, mirrored[test], y[test])
    tuner = torch.optim.SGD(model.parameters(), lr=0.002, momentum=0.9)
    for _ in range(8):
        model.train()
        model.apply(freeze_statistics)
        for rows in tune[torch.randperm(200)].split(4):
            tuner.zero_grad()
            nn.functional.cross_entropy(model(mirrored[rows]), y[rows]).backward()
            tuner.step()
    return {"before tuning": before, "after tuning": accuracy(model, mirrored[test], y[test])}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["after tuning"] > outcome.measured["before tuning"] + 0.2
