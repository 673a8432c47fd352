"""The loss is a sum over batch and pixels, the rate one for a mean.

Symptom: within a few steps the loss grows beyond all bounds and is NaN.

Cause: the sum over 64 images of 64 pixels is 4096 times the mean, and so are its gradients. With
gradient descent a rate of 0.5 on the sum is one of 2048 on the mean.

Cure: take the mean; or divide the rate by as much.

Met: with ``reduction="sum"``, taken for the loss to be reported, and where a rate is copied from
a program whose loss is a mean. The same rate also changes its meaning with each batch size then.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "loss-summed-not-averaged"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    X_train, X_test = X[:1500], X[1500:]
    encoder = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(), nn.Linear(32, 12))
    decoder = nn.Sequential(nn.LeakyReLU(), nn.Linear(12, 32), nn.LeakyReLU(), nn.Linear(32, 64))
    autoencoder = nn.Sequential(encoder, decoder)
    criterion = nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(autoencoder.parameters(), lr=0.5, momentum=0.9, nesterov=True)
    for _ in range(25):
        for rows in torch.randperm(1500).split(64):
            batch = X_train[rows]
            loss = criterion(autoencoder(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = (autoencoder(X_test) - X_test).square().mean().item()
    return {"explained": 1 - error / (X_test - X_train.mean(0)).square().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    X_train, X_test = X[:1500], X[1500:]
    encoder = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(), nn.Linear(32, 12))
    decoder = nn.Sequential(nn.LeakyReLU(), nn.Linear(12, 32), nn.LeakyReLU(), nn.Linear(32, 64))
    autoencoder = nn.Sequential(encoder, decoder)
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(autoencoder.parameters(), lr=0.5, momentum=0.9, nesterov=True)
    for _ in range(25):
        for rows in torch.randperm(1500).split(64):
            batch = X_train[rows]
            loss = criterion(autoencoder(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = (autoencoder(X_test) - X_test).square().mean().item()
    return {"explained": 1 - error / (X_test - X_train.mean(0)).square().mean().item()}


def shows(outcome: Outcome) -> bool:
    return not outcome.measured["explained"] > 0.1  # NaN is not
