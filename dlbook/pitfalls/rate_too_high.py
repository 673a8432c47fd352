"""The learning rate is too high.

Symptom: in the first steps the loss leaps to many times its first value; then it stays where
guessing is, and the accuracy with it.

Cause: a step follows the slope at one point. Too long a step leaves the region in which that slope
means anything, lands where the weights are huge and most units are off for all images, and finds
no way back.

Cure: divide the rate by ten until the loss falls from the first steps on.

Met: where a rate is carried over from plain descent to Adam, whose steps have the length of the
rate however small the gradient is.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "rate-too-high"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    model = nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, kernel_size=3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    losses = []
    for _ in range(6):
        for rows in torch.randperm(1400).split(50):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    accuracy = (model(X[1400:]).argmax(1) == y[1400:]).float().mean().item()
    return {"leap": max(losses) / losses[0], "accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    model = nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, kernel_size=3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    losses = []
    for _ in range(6):
        for rows in torch.randperm(1400).split(50):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    accuracy = (model(X[1400:]).argmax(1) == y[1400:]).float().mean().item()
    return {"leap": max(losses) / losses[0], "accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["leap"] > 4 and outcome.measured["accuracy"] < 0.2
