"""Images and labels are put in random order, each in its own.

Symptom: the loss stays near ln 10, that of guessing among ten digits, and so does the accuracy
near 0.1 on images that were not learned.

Cause: two calls of ``randperm`` give two orders. Each image gets the label of some other one,
and there is nothing to learn but the images by heart.

Cure: draw one order and use it for both.

Met: where images and labels lie in two arrays, are shuffled or sorted one after the other, or
are read from two lists of files in different order.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "labels-unrelated-to-inputs"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    y = torch.tensor(digits.target)
    order = torch.randperm(len(X))
    X, y = X[order], y[torch.randperm(len(y))]
    loader = DataLoader(TensorDataset(X[:1500], y[:1500]), batch_size=50, shuffle=True)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(5):
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(X[1500:]).argmax(1) == y[1500:]).float().mean()
    return {"last loss": loss.item(), "accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    y = torch.tensor(digits.target)
    order = torch.randperm(len(X))
    X, y = X[order], y[order]
    loader = DataLoader(TensorDataset(X[:1500], y[:1500]), batch_size=50, shuffle=True)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(5):
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(X[1500:]).argmax(1) == y[1500:]).float().mean()
    return {"last loss": loss.item(), "accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.2 and outcome.measured["last loss"] > 2
