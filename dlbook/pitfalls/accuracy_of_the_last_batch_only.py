"""The counter of right answers starts anew in each batch.

Symptom: the loss in validation is low, and the accuracy reported is under 3 percent, less than a
guess would have.

Cause: ``right = 0`` stands within the loop. What remains at its end is the count of the last batch
alone, eight records at most, divided by all.

Cure: set the counter to 0 once, before the loop over the batches.

Met: where a loop body is indented by one level more, and where counters of a batch and of an epoch
bear the same name.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "counter-reset-in-each-batch"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(images))
    X = torch.tensor(images, dtype=torch.float32).div(16).reshape(-1, 1, 8, 8)[order]
    y = torch.tensor(labels)[order]
    train = DataLoader(TensorDataset(X[:1437], y[:1437]), batch_size=32, shuffle=True)
    valid = DataLoader(TensorDataset(X[1437:], y[1437:]), batch_size=32)
    layers = [nn.Conv2d(1, 12, 3), nn.BatchNorm2d(12), nn.ReLU(), nn.Flatten(), nn.Linear(432, 10)]
    model = nn.Sequential(*layers)
    criterion = nn.CrossEntropyLoss(reduction="sum")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(3):
        model.train()
        for xb, yb in train:
            optimizer.zero_grad()
            (criterion(model(xb), yb) / len(xb)).backward()
            optimizer.step()
        model.eval()
        loss = 0.0
        with torch.no_grad():
            for xb, yb in valid:
                right = 0
                logits = model(xb)
                loss += criterion(logits, yb).item() / 360
                right += int((logits.argmax(1) == yb).sum())
    return {"loss": loss, "accuracy": right / 360}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(images))
    X = torch.tensor(images, dtype=torch.float32).div(16).reshape(-1, 1, 8, 8)[order]
    y = torch.tensor(labels)[order]
    train = DataLoader(TensorDataset(X[:1437], y[:1437]), batch_size=32, shuffle=True)
    valid = DataLoader(TensorDataset(X[1437:], y[1437:]), batch_size=32)
    layers = [nn.Conv2d(1, 12, 3), nn.BatchNorm2d(12), nn.ReLU(), nn.Flatten(), nn.Linear(432, 10)]
    model = nn.Sequential(*layers)
    criterion = nn.CrossEntropyLoss(reduction="sum")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(3):
        model.train()
        for xb, yb in train:
            optimizer.zero_grad()
            (criterion(model(xb), yb) / len(xb)).backward()
            optimizer.step()
        model.eval()
        loss = 0.0
        right = 0
        with torch.no_grad():
            for xb, yb in valid:
                logits = model(xb)
                loss += criterion(logits, yb).item() / 360
                right += int((logits.argmax(1) == yb).sum())
    return {"loss": loss, "accuracy": right / 360}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss"] < 0.5 and outcome.measured["accuracy"] < 0.03
