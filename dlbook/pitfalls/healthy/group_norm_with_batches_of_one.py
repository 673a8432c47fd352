"""A convolutional network is trained on one image at a time.

Suspicious: batches of one example go through layers of normalization.

Right: these layers take mean and variance over groups of channels within each image, and do not
ask how many images there are. Training and evaluation are the same to them.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits(n_class=6)
    X = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(digits.target)
    train, test = torch.randperm(len(X)).split([600, len(X) - 600])
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.GroupNorm(4, 16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 6),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for i in train.tolist():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[i : i + 1]), y[i : i + 1])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(X[test]).argmax(1) == y[test]).float().mean().item()
    return {"accuracy": accuracy}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.8
