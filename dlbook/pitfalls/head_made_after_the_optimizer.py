"""The new last layer is made after the optimizer.

Symptom: the loss of the new task does not fall at all.

Cause: an optimizer holds the parameters that it was given when it was made. The new layer's are
not among them; those of the layer it replaces are, and get no gradients any more.

Cure: replace the layer first, then make the optimizer.

Met: in fine-tuning, where a trained network's last layer is replaced by one for the new classes.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "parameters-not-in-optimizer"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 5))
    old, new = (y < 5).nonzero().flatten(), (y >= 5).nonzero().flatten()
    pretraining = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        pretraining.zero_grad()
        nn.functional.cross_entropy(model(X[old]), y[old]).backward()
        pretraining.step()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model[2] = nn.Linear(48, 5)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[new]), y[new] - 5)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    accuracy = (model(X[new]).argmax(1) == y[new] - 5).float().mean().item()
    return {"fell by": losses[0] - losses[-1], "accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 5))
    old, new = (y < 5).nonzero().flatten(), (y >= 5).nonzero().flatten()
    pretraining = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        pretraining.zero_grad()
        nn.functional.cross_entropy(model(X[old]), y[old]).backward()
        pretraining.step()
    model[0].requires_grad_(False)
    model[2] = nn.Linear(48, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[new]), y[new] - 5)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    accuracy = (model(X[new]).argmax(1) == y[new] - 5).float().mean().item()
    return {"fell by": losses[0] - losses[-1], "accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["fell by"] == 0
