"""The network is given another variable than the one that was prepared for it.

Symptom: the loss stays near ln 10 from the first step to the last, as if the ten digits could
not be told apart; on clean images the network is no better than a guess.

Cause: ``noisy`` holds image and noise together, and the network is given ``noise``, which
knows nothing of the digit.

Cure: give the network the variable that was made for it.

Met: where several versions of a batch have similar names: raw, augmented, normalized, masked.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "labels-unrelated-to-inputs"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(X))
    train, test = order[:1200], order[1200:]
    model = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.005)
    for _ in range(8):
        for rows in train[torch.randperm(len(train))].split(40):
            noise = 0.2 * torch.randn(len(rows), 64)
            noisy = X[rows] + noise
            noisy.clamp_(0, 1)
            loss = nn.functional.cross_entropy(model(noise), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = (model(X[test]).argmax(1) == y[test]).float().mean()
    return {"last loss": loss.item(), "accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(X))
    train, test = order[:1200], order[1200:]
    model = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.005)
    for _ in range(8):
        for rows in train[torch.randperm(len(train))].split(40):
            noise = 0.2 * torch.randn(len(rows), 64)
            noisy = X[rows] + noise
            noisy.clamp_(0, 1)
            loss = nn.functional.cross_entropy(model(noisy), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = (model(X[test]).argmax(1) == y[test]).float().mean()
    return {"last loss": loss.item(), "accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["last loss"] > 2 and outcome.measured["accuracy"] < 0.5
