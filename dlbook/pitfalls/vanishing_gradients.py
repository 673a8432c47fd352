"""Gradients fade on their way through many sigmoids.

Symptom: a deep network stays at the accuracy of a guess, epoch after epoch; the gradient of its
first layer is less than a thousandth of that of its last.

Cause: the derivative of the sigmoid is at most 1/4. Each layer on the way back multiplies by it,
and after six of them next to nothing is left for the first layers.

Cure: use ReLU, whose derivative is 1 wherever a unit is active.

Met: in deep networks that keep the activation of older texts, and where a shallow network that
worked was made deeper.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "vanishing-gradients"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(images), dtype=torch.float32)
    y = torch.tensor(labels)
    activation = nn.Sigmoid
    model = nn.Sequential(nn.Linear(64, 64), activation())
    for _ in range(5):
        model.extend([nn.Linear(64, 64), activation()])
    model.append(nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    ratios = []
    for _ in range(10):
        for rows in torch.randperm(len(X)).split(32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
        norms = [p.grad.norm().item() for p in model.parameters() if p.grad is not None]
        ratios.append(norms[0] / norms[-2])
    accuracy = (model(X).argmax(1) == y).float().mean()
    return {"accuracy": accuracy.item(), "first_by_last": ratios[0]}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(images), dtype=torch.float32)
    y = torch.tensor(labels)
    activation = nn.ReLU
    model = nn.Sequential(nn.Linear(64, 64), activation())
    for _ in range(5):
        model.extend([nn.Linear(64, 64), activation()])
    model.append(nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    ratios = []
    for _ in range(10):
        for rows in torch.randperm(len(X)).split(32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
        norms = [p.grad.norm().item() for p in model.parameters() if p.grad is not None]
        ratios.append(norms[0] / norms[-2])
    accuracy = (model(X).argmax(1) == y).float().mean()
    return {"accuracy": accuracy.item(), "first_by_last": ratios[0]}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.3 and outcome.measured["first_by_last"] < 1e-3
