"""Noise is added to each batch in place, in every epoch again.

Symptom: the loss falls in the first epochs and then rises, epoch by epoch; the stored images
look like noise in the end.

Cause: a slice of a tensor is a view of it. ``+=`` changes the stored images, and every epoch
adds its noise to that of all epochs before.

Cure: make a new tensor: ``images = images + noise``.

Met: with functions and transforms that have an option to work in place, with those of NumPy
and PyTorch whose names end in an underscore, and with data sets that hand out rows of one
large tensor.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "data-changed-in-place"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images / 16, dtype=torch.float32)[:1500, None]
    y = torch.tensor(digits.target)[:1500]
    model = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(12):
        total = 0.0
        for start in torch.randperm(30).mul(50).tolist():
            images, labels = X[start : start + 50], y[start : start + 50]
            images += 0.4 * torch.randn(50, 1, 8, 8)
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / 30
        losses.append(total)
    return {"least loss": min(losses), "last loss": losses[-1], "spread of pixels": X.std().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images / 16, dtype=torch.float32)[:1500, None]
    y = torch.tensor(digits.target)[:1500]
    model = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(12):
        total = 0.0
        for start in torch.randperm(30).mul(50).tolist():
            images, labels = X[start : start + 50], y[start : start + 50]
            images = images + 0.4 * torch.randn(50, 1, 8, 8)
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / 30
        losses.append(total)
    return {"least loss": min(losses), "last loss": losses[-1], "spread of pixels": X.std().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["last loss"] > 1.3 * outcome.measured["least loss"]
