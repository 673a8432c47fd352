"""Softmax is applied before cross-entropy, which applies it itself.

Symptom: with ten classes the loss never falls below 1.46, however well the classes are told
apart. A loss of 0.1 or less would be usual here.

Cause: cross-entropy takes logits and applies softmax to them. What it gets are probabilities, so
that its own softmax compares a 1 with nine 0s at best: e / (e + 9) = 0.23 is the largest
probability that it can give, and -log 0.23 = 1.46 the smallest loss.

Cure: end the network with the linear layer, and apply softmax only where probabilities are read.

Met: in networks drawn with a softmax layer at their end, and in programs ported from frameworks
whose loss takes probabilities.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "softmax-before-cross-entropy"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    model = nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10),
        nn.Softmax(dim=1),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(10):
        for rows in torch.randperm(1400).split(32):
            optimizer.zero_grad()
            loss = criterion(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        outputs = model(X[1400:])
    accuracy = (outputs.argmax(1) == y[1400:]).float().mean()
    return {"loss": criterion(outputs, y[1400:]).item(), "accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    model = nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(10):
        for rows in torch.randperm(1400).split(32):
            optimizer.zero_grad()
            loss = criterion(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        outputs = model(X[1400:])
    accuracy = (outputs.argmax(1) == y[1400:]).float().mean()
    return {"loss": criterion(outputs, y[1400:]).item(), "accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss"] > 1.46
