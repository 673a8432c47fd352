"""An autoencoder ends with tanh, and its data do not end at 1.

Symptom: no reconstruction is beyond 1, while a tenth of the data is further out; the error stays
more than twice what a code of that width can reach.

Cause: tanh lies between -1 and 1. Standardized data have a standard deviation of 1, not a largest
value of 1.

Cure: end with the linear layer, or scale the data into the range of the last activation.

Met: where the decoder of an image model, whose pixels are scaled to [-1, 1], is taken for data that
are standardized.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "outputs-cannot-reach-targets"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, _ = load_breast_cancer(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    encoder = nn.Sequential(nn.Linear(30, 32), nn.Tanh(), nn.Linear(32, 6))
    decoder = nn.Sequential(
        nn.Linear(6, 32),
        nn.Tanh(),
        nn.Linear(32, 30),
        nn.Tanh(),
    )
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    for _ in range(20):
        for batch in X[torch.randperm(len(X))].split(64):
            loss = nn.functional.mse_loss(decoder(encoder(batch)), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        copies = decoder(encoder(X))
    return {"largest": copies.abs().max().item(), "error": (copies - X).square().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, _ = load_breast_cancer(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    encoder = nn.Sequential(nn.Linear(30, 32), nn.Tanh(), nn.Linear(32, 6))
    decoder = nn.Sequential(
        nn.Linear(6, 32),
        nn.Tanh(),
        nn.Linear(32, 30),
    )
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    for _ in range(20):
        for batch in X[torch.randperm(len(X))].split(64):
            loss = nn.functional.mse_loss(decoder(encoder(batch)), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        copies = decoder(encoder(X))
    return {"largest": copies.abs().max().item(), "error": (copies - X).square().mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["largest"] <= 1 and outcome.measured["error"] > 0.3
