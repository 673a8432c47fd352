"""The rate changes in every batch, up at first and then down to almost nothing.

Suspicious: the schedule is stepped within the loop over batches, where most stand outside, and the
last steps are made at a rate of a millionth.

Right: this schedule is planned in steps, as many as there are batches in all epochs.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    epochs = 8
    digits = load_digits()
    X = torch.tensor(digits.images[:, None] / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    train_loader = DataLoader(TensorDataset(X[:1400], y[:1400]), batch_size=50, shuffle=True)
    test_loader = DataLoader(TensorDataset(X[1400:], y[1400:]), batch_size=100)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    scheduler = OneCycleLR(
        optimizer, max_lr=0.2, epochs=epochs, steps_per_epoch=len(train_loader), pct_start=0.3
    )
    rates, accuracies = [], []
    for _epoch in range(epochs):
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            rates.append(float(scheduler.get_last_lr()[0]))
            scheduler.step()
        model.eval()
        with torch.no_grad():
            right = sum(
                int((model(images).argmax(1) == labels).sum()) for images, labels in test_loader
            )
        accuracies.append(right / 397)
    return {"accuracy": accuracies[-1], "largest rate": max(rates), "last rate": rates[-1]}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.88
