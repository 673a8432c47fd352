"""Records come in the order of their classes.

Symptom: the loss of the batches falls within each class and jumps at the next; of images that
were not learned a third or more is taken for a 9, the class that came last, and most other
digits are missed.

Cause: each batch holds one digit or two, and every step says: answer this one, whatever you
see. The steps for a class undo those for the one before it.

Cure: let the loader shuffle, so that every batch is a sample of all classes.

Met: with files in one folder for each class, tables sorted by label, and loaders whose
``shuffle`` is off by default.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "batches-of-one-class"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(X))
    test, train = order[:400], order[400:]
    train = train[y[train].argsort()]  # as read from one folder for each digit
    loader = DataLoader(TensorDataset(X[train], y[train]), batch_size=20)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(10):
        for inputs, targets in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
    with torch.no_grad():
        answers = model(X[test]).argmax(1)
    accuracy = (answers == y[test]).float().mean()
    return {"accuracy": accuracy.item(), "called 9": (answers == 9).float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(X))
    test, train = order[:400], order[400:]
    train = train[y[train].argsort()]  # as read from one folder for each digit
    loader = DataLoader(TensorDataset(X[train], y[train]), batch_size=20, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(10):
        for inputs, targets in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
    with torch.no_grad():
        answers = model(X[test]).argmax(1)
    accuracy = (answers == y[test]).float().mean()
    return {"accuracy": accuracy.item(), "called 9": (answers == 9).float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.6 and outcome.measured["called 9"] > 0.25
