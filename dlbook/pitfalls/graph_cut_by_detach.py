"""``detach`` cuts a layer off from the loss.

Symptom: the autoencoder stays far behind what a code of that width can do, and its encoder is at
the end what it was at the start.

Cause: ``detach`` returns the values without the graph that made them. The backward pass ends there,
and no gradient reaches what lies in front.

Cure: pass on the result itself.

Met: where an intermediate result is taken out for a plot, and where memory was to be saved.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "graph-cut"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    first = nn.Linear(64, 32)
    encoder = nn.Sequential(first, nn.ReLU(), nn.Linear(32, 4))
    decoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 64))
    before = first.weight.detach().clone()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    for _ in range(15):
        for batch in X[torch.randperm(len(X))].split(64):
            code = encoder(batch).detach()
            loss = nn.functional.mse_loss(decoder(code), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = (decoder(encoder(X)) - X).square().mean() / (X - X.mean(0)).square().mean()
    moved = (first.weight - before).abs().max()
    return {"unexplained": error.item(), "encoder_moved": moved.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    first = nn.Linear(64, 32)
    encoder = nn.Sequential(first, nn.ReLU(), nn.Linear(32, 4))
    decoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 64))
    before = first.weight.detach().clone()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    for _ in range(15):
        for batch in X[torch.randperm(len(X))].split(64):
            code = encoder(batch)
            loss = nn.functional.mse_loss(decoder(code), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = (decoder(encoder(X)) - X).square().mean() / (X - X.mean(0)).square().mean()
    moved = (first.weight - before).abs().max()
    return {"unexplained": error.item(), "encoder_moved": moved.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["encoder_moved"] == 0 and outcome.measured["unexplained"] > 0.5
