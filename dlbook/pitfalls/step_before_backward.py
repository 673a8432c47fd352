"""``step`` comes before ``backward``.

Symptom: after all epochs the network is as good as one that guesses, and nothing raises.

Cause: the order is clear, forward, step, backward. At each step the gradients have just been
cleared; those that ``backward`` finds after it are cleared before the next.

Cure: ``backward`` first, then ``step``.

Met: where the lines of a loop are reordered, to print the loss or to measure times, and in those
written by analogy with frameworks whose optimizer is called with the loss.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "step-before-backward"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    data = TensorDataset(X, torch.tensor(labels))
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(2):
        for xb, yb in DataLoader(data, batch_size=32, shuffle=True):
            model.zero_grad()
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.step()
            loss.backward()
    with torch.no_grad():
        accuracy = (model(X).argmax(1) == data.tensors[1]).float().mean().item()
    return {"accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    data = TensorDataset(X, torch.tensor(labels))
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(2):
        for xb, yb in DataLoader(data, batch_size=32, shuffle=True):
            model.zero_grad()
            loss = nn.functional.cross_entropy(model(xb), yb)
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (model(X).argmax(1) == data.tensors[1]).float().mean().item()
    return {"accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.35
