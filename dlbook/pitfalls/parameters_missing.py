"""One of two networks is not given to the optimizer.

Symptom: the loss falls and stops high: far less of the images is explained than a code of this
size can hold. The encoder's weights are what they were at first.

Cause: the encoder gets gradients, but no optimizer uses them. The decoder learns to make the best
of a code drawn at random.

Cure: give the optimizer the parameters of both.

Met: where a program has several networks, such as encoder and decoder, or an embedding beside
them.
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
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    train, test = X[:1400], X[1400:]
    encoder = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 4))
    decoder = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 64), nn.Sigmoid())
    first = next(encoder.parameters()).clone()
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.005)
    for _ in range(20):
        for batch in train[torch.randperm(len(train))].split(50):
            loss = nn.functional.mse_loss(decoder(encoder(batch)), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(decoder(encoder(test)), test)
    return {
        "explained": 1 - (error / (test - train.mean(0)).square().mean()).item(),
        "encoder changed by": (next(encoder.parameters()) - first).abs().max().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    train, test = X[:1400], X[1400:]
    encoder = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 4))
    decoder = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 64), nn.Sigmoid())
    first = next(encoder.parameters()).clone()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.005)
    for _ in range(20):
        for batch in train[torch.randperm(len(train))].split(50):
            loss = nn.functional.mse_loss(decoder(encoder(batch)), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(decoder(encoder(test)), test)
    return {
        "explained": 1 - (error / (test - train.mean(0)).square().mean()).item(),
        "encoder changed by": (next(encoder.parameters()) - first).abs().max().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["encoder changed by"] == 0 and outcome.measured["explained"] < 0.35
