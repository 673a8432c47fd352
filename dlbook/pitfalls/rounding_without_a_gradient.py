"""Rounding within the network lets no gradient through.

Symptom: the encoder is at the end what it was at the start, and the copies are far worse than codes
of that many bits allow.

Cause: a rounded value does not change when its argument changes a little. Its derivative is zero
wherever it exists, and so is every gradient in front of it.

Cure: round on the way forward and pass the gradient on as if nothing had been rounded.

Met: in codes of whole numbers, in networks for small machines, and where a decision is made within
the network.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "rounding-without-a-gradient"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    first = nn.Linear(64, 64)
    encoder = nn.Sequential(first, nn.ReLU(), nn.Linear(64, 12), nn.Sigmoid())
    decoder = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64))
    before = first.weight.detach().clone()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.005)
    for _ in range(20):
        for batch in X[torch.randperm(len(X))].split(64):
            shares = encoder(batch)
            bits = shares.round()
            loss = nn.functional.mse_loss(decoder(bits), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        copies = decoder(encoder(X).round())
    unexplained = (copies - X).square().mean() / (X - X.mean(0)).square().mean()
    moved = (first.weight - before).abs().max()
    return {"unexplained": unexplained.item(), "encoder_moved": moved.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    first = nn.Linear(64, 64)
    encoder = nn.Sequential(first, nn.ReLU(), nn.Linear(64, 12), nn.Sigmoid())
    decoder = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64))
    before = first.weight.detach().clone()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.005)
    for _ in range(20):
        for batch in X[torch.randperm(len(X))].split(64):
            shares = encoder(batch)
            bits = shares + (shares.round() - shares).detach()
            loss = nn.functional.mse_loss(decoder(bits), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        copies = decoder(encoder(X).round())
    unexplained = (copies - X).square().mean() / (X - X.mean(0)).square().mean()
    moved = (first.weight - before).abs().max()
    return {"unexplained": unexplained.item(), "encoder_moved": moved.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["encoder_moved"] == 0 and outcome.measured["unexplained"] > 0.5
