"""Biases far below zero keep every unit at zero.

Symptom: the network returns the same logit for every image; it finds none of the rare ones.

Cause: a bias of -4.6 is meant for the last layer, where it makes the rare class rare from
the start. Given to the hidden layers as well, it holds every ReLU below zero for all inputs, where
the derivative is zero too: nothing in front of it ever learns.

Cure: set the bias of the last layer alone.

Met: where a loop over all layers sets what is meant for one, and after one step that was far too
long.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "dead-units"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    seven = torch.tensor(labels == 7, dtype=torch.float32)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 32), nn.ReLU(), nn.Linear(32, 1)
    )
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.constant_(parameter, -4.6)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(4):
        for rows in torch.randperm(len(X)).split(32):
            logits = model(X[rows]).squeeze(1)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, seven[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits = model(X).squeeze(1)
    found = ((logits > 0) & (seven == 1)).sum() / seven.sum()
    return {"found": found.item(), "spread": logits.std().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    seven = torch.tensor(labels == 7, dtype=torch.float32)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 32), nn.ReLU(), nn.Linear(32, 1)
    )
    for name, parameter in model.named_parameters():
        if name == "5.bias":
            nn.init.constant_(parameter, -4.6)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(4):
        for rows in torch.randperm(len(X)).split(32):
            logits = model(X[rows]).squeeze(1)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, seven[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits = model(X).squeeze(1)
    found = ((logits > 0) & (seven == 1)).sum() / seven.sum()
    return {"found": found.item(), "spread": logits.std().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["found"] == 0 and outcome.measured["spread"] < 1e-6
