"""Classes are weighted by how frequent they are, instead of how rare.

Symptom: hardly any record of the rare classes is found, less than with no weights at all.

Cause: the weights are meant to make up for the numbers. These double them: what is eight times as
frequent counts 64 times as much.

Cure: weight each class by one over its count.

Met: where ``bincount`` stands next to a loss that asks for ``weight``, and nothing says which way.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_blobs
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "class-weights-the-wrong-way-round"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    centers = [[0, 0, 0], [2, 0, 0], [0, 2, 0]]
    inputs, labels = make_blobs([2400, 300, 300], centers=centers, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    X_train, X_test, y_train, y_test = X[:2000], X[2000:], y[:2000], y[2000:]
    counts = torch.bincount(y_train)
    weights = counts / counts.sum()
    criterion = nn.CrossEntropyLoss(weight=weights)
    model = nn.Sequential(nn.Linear(3, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003, weight_decay=0.05)
    for _ in range(10):
        model.train()
        for rows in torch.randperm(2000).split(40):
            optimizer.zero_grad()
            criterion(model(X_train[rows]), y_train[rows]).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        answers = model(X_test).argmax(1)
    found = [(answers == k)[y_test == k].float().mean().item() for k in range(3)]
    return {"of the common": found[0], "of the rare": sum(found[1:]) / 2}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    centers = [[0, 0, 0], [2, 0, 0], [0, 2, 0]]
    inputs, labels = make_blobs([2400, 300, 300], centers=centers, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    X_train, X_test, y_train, y_test = X[:2000], X[2000:], y[:2000], y[2000:]
    counts = torch.bincount(y_train)
    weights = counts.sum() / counts
    criterion = nn.CrossEntropyLoss(weight=weights)
    model = nn.Sequential(nn.Linear(3, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003, weight_decay=0.05)
    for _ in range(10):
        model.train()
        for rows in torch.randperm(2000).split(40):
            optimizer.zero_grad()
            criterion(model(X_train[rows]), y_train[rows]).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        answers = model(X_test).argmax(1)
    found = [(answers == k)[y_test == k].float().mean().item() for k in range(3)]
    return {"of the common": found[0], "of the rare": sum(found[1:]) / 2}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["of the rare"] < 0.4
