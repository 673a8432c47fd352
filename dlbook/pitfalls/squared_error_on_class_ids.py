"""Class numbers are fitted as if they were quantities.

Symptom: the loss falls as it should, and yet most digits are named wrongly.

Cause: squared error takes class 8 to be nearer to 7 than to 3, though an 8 looks more like a 3.
Where the network hesitates between 3 and 8 it does best with the mean, and 5.5 is neither.

Cure: give the network one logit for each class, train it with cross-entropy, and answer with the
largest logit.

Met: where the labels come as a column of numbers, like any target of a regression.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "squared-error-on-class-ids"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(12):
        for rows in torch.randperm(1200).split(50):
            loss = nn.functional.mse_loss(model(X[rows]), y[rows].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    answers = model(X[1200:]).round()
    return {
        "loss fell to": losses[-1] / losses[0],
        "accuracy": (answers == y[1200:]).float().mean().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(12):
        for rows in torch.randperm(1200).split(50):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    answers = model(X[1200:]).argmax(1)
    return {
        "loss fell to": losses[-1] / losses[0],
        "accuracy": (answers == y[1200:]).float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss fell to"] < 0.5 and outcome.measured["accuracy"] < 0.6
