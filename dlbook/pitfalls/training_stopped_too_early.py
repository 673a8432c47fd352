"""Training ends while the loss still falls.

Symptom: the loss still falls by a tenth and more in ten steps when training ends, and the
network restores the images no better than their mean would.

Cause: with a rate of 0.001, 50 images in a batch and two epochs, there are 60 steps, and no
parameter has moved far enough.

Cure: train until the loss stops falling, here twenty times as long.

Met: where the number of epochs comes from a larger data set: with a tenth of the records an
epoch has a tenth of the steps.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "fit"
FINDING = "stopped-while-falling"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)[torch.randperm(len(images))]
    model = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 64))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    losses = []
    for _ in range(2):
        for batch in X[torch.randperm(1500)].split(50):
            loss = nn.functional.mse_loss(model(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    with torch.no_grad():
        error = nn.functional.mse_loss(model(X[1500:]), X[1500:])
    recent = sum(losses[-10:]) / sum(losses[-20:-10])
    explained = 1 - (error / X[1500:].var(0).mean()).item()
    return {"share explained": explained, "last ten by ten before": recent}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)[torch.randperm(len(images))]
    model = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 64))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    losses = []
    for _ in range(40):
        for batch in X[torch.randperm(1500)].split(50):
            loss = nn.functional.mse_loss(model(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    with torch.no_grad():
        error = nn.functional.mse_loss(model(X[1500:]), X[1500:])
    recent = sum(losses[-10:]) / sum(losses[-20:-10])
    explained = 1 - (error / X[1500:].var(0).mean()).item()
    return {"share explained": explained, "last ten by ten before": recent}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["last ten by ten before"] < 0.92
