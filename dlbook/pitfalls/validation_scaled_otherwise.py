"""Validation records are not prepared as training records are.

Symptom: the loss in training falls to almost nothing; in validation the network calls every
tumor malignant.

Cause: the transform was given to the training set only: the network learned columns of mean 0
and standard deviation 1 and is then shown them in their own units, up to thousands.

Cure: give both sets the same transform, with the numbers found in training.

Met: where each part has its own data set, and in programs that use a trained network and
prepare its inputs anew.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "validation-scaled-otherwise"


class Records(Dataset[tuple[Tensor, Tensor]]):
    """Records with their labels; what prepares a record is applied when it is asked for."""

    def __init__(
        self, inputs: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor] = Tensor.float
    ) -> None:
        self.inputs, self.labels, self.transform = inputs, labels, transform

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.inputs[number]), self.labels[number]


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    order = torch.randperm(len(inputs))
    X, y = torch.tensor(inputs, dtype=torch.float32)[order], torch.tensor(labels)[order]
    mean, std = X[:400].mean(0), X[:400].std(0)
    train = Records(X[:400], y[:400], lambda record: (record - mean) / std)
    valid = Records(X[400:], y[400:])
    model = nn.Sequential(nn.Linear(30, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(10):
        for xb, yb in DataLoader(train, batch_size=40, shuffle=True):
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        xb, yb = next(iter(DataLoader(valid, batch_size=len(valid))))
        answers = model(xb).argmax(1)
    return {
        "loss in training": loss.item(),
        "accuracy": (answers == yb).float().mean().item(),
        "called malignant": (answers == 0).float().mean().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    order = torch.randperm(len(inputs))
    X, y = torch.tensor(inputs, dtype=torch.float32)[order], torch.tensor(labels)[order]
    mean, std = X[:400].mean(0), X[:400].std(0)
    train = Records(X[:400], y[:400], lambda record: (record - mean) / std)
    valid = Records(X[400:], y[400:], lambda record: (record - mean) / std)
    model = nn.Sequential(nn.Linear(30, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(10):
        for xb, yb in DataLoader(train, batch_size=40, shuffle=True):
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        xb, yb = next(iter(DataLoader(valid, batch_size=len(valid))))
        answers = model(xb).argmax(1)
    return {
        "loss in training": loss.item(),
        "accuracy": (answers == yb).float().mean().item(),
        "called malignant": (answers == 0).float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.8 and outcome.measured["called malignant"] > 0.9
