"""A network with one output is trained with cross-entropy.

Symptom: the loss is 0 from the first batch on, and the network stays as it was drawn.

Cause: cross-entropy applies softmax to the logits of a record. Of a single logit softmax makes 1,
whatever it is; the logarithm of 1 is 0, and so is its gradient.

Cure: use ``binary_cross_entropy_with_logits``, or give the network two outputs.

Met: in problems of two classes, where the network ends with one output and the loss is the one
that the last program had.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_moons
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "one-logit-with-cross-entropy"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, labels = make_moons(500, noise=0.15, random_state=seed)
    X, Y = torch.tensor(points).float(), torch.tensor(labels).float()[:, None]
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters())
    losses, accuracies = [], []
    for _ in range(60):
        for rows in torch.randperm(400).split(50):
            loss = nn.functional.cross_entropy(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
        accuracies.append(((model(X[400:]) > 0) == (Y[400:] == 1)).float().mean().item())
    return {
        "highest loss": max(losses),
        "accuracy": accuracies[-1],
        "gained": accuracies[-1] - accuracies[0],
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, labels = make_moons(500, noise=0.15, random_state=seed)
    X, Y = torch.tensor(points).float(), torch.tensor(labels).float()[:, None]
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters())
    losses, accuracies = [], []
    for _ in range(60):
        for rows in torch.randperm(400).split(50):
            loss = nn.functional.binary_cross_entropy_with_logits(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
        accuracies.append(((model(X[400:]) > 0) == (Y[400:] == 1)).float().mean().item())
    return {
        "highest loss": max(losses),
        "accuracy": accuracies[-1],
        "gained": accuracies[-1] - accuracies[0],
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["highest loss"] == 0 and outcome.measured["gained"] == 0
