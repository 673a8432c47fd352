"""Dropout leaves next to nothing of a layer.

Symptom: the network does not even learn the examples that it is trained on, and evaluation mode, in
which nothing is left out, does not help.

Cause: ``nn.Dropout`` takes the share that is left out, not the share that is kept. With 0.9 three
of 32 units remain in each layer, other ones at each step, and what they pass on is mostly noise.

Cure: leave out the share that was meant, here 0.1.

Met: in networks ported from a framework whose dropout takes the share that is kept.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "dropout-too-strong"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    keep = 0.9
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(keep))
    for _ in range(2):
        model.extend([nn.Linear(32, 32), nn.ReLU(), nn.Dropout(keep)])
    model.append(nn.Linear(32, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(12):
        model.train()
        for rows in torch.randperm(len(X)).split(32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(X).argmax(1) == y).float().mean()
    return {"training_accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    keep = 0.9
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(1 - keep))
    for _ in range(2):
        model.extend([nn.Linear(32, 32), nn.ReLU(), nn.Dropout(1 - keep)])
    model.append(nn.Linear(32, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(12):
        model.train()
        for rows in torch.randperm(len(X)).split(32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(X).argmax(1) == y).float().mean()
    return {"training_accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["training_accuracy"] < 0.5
