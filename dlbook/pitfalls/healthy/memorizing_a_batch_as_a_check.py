"""Before the long run, a network is made to memorize sixteen examples.

Suspicious: the same few examples are shown again and again, the loss goes to zero, and there is no
validation.

Right: this asks whether data, model, loss and loop fit together at all; a network that cannot
memorize sixteen images has a fault. It says nothing about other images, and nothing is claimed.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    dataset = TensorDataset(X, torch.tensor(digits.target))
    loader = DataLoader(dataset, batch_size=16, shuffle=True)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(256, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    criterion = nn.CrossEntropyLoss()
    images, labels = next(iter(loader))
    for _ in range(100):
        optimizer.zero_grad()
        logits = model(images)
        loss = criterion(logits, labels)
        loss.backward()
        optimizer.step()
    return {"loss": loss.item(), "accuracy": (logits.argmax(1) == labels).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] == 1 and outcome.measured["loss"] < 0.1
