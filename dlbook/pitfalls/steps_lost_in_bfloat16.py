"""Weights in bfloat16 are too coarse for the steps.

Symptom: the loss falls many times more slowly than in single precision, and most weights are after
all steps what they were before the first.

Cause: bfloat16 has 8 binary digits. The neighbors of 0.1 are 0.0005 away, and a step of 0.0001 is
rounded off, whole, each time.

Cure: keep the weights in single precision. To compute in bfloat16, use ``torch.autocast``, which
converts copies.

Met: where a network is converted to a shorter type to save memory, which suits inference, and
then trained on.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "steps-lost-in-rounding"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    dtype = torch.bfloat16
    X, y = torch.tensor(images / 16, dtype=dtype), torch.tensor(labels)
    hidden = nn.Linear(64, 256)
    model = nn.Sequential(hidden, nn.ReLU(), nn.Linear(256, 10)).to(dtype)
    first = hidden.weight.clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0001)
    for _ in range(15):
        for rows in torch.randperm(1400).split(25):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(X[1400:]).float(), y[1400:])
    return {"loss": loss.item(), "unchanged": (hidden.weight == first).float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    dtype = torch.float32
    X, y = torch.tensor(images / 16, dtype=dtype), torch.tensor(labels)
    hidden = nn.Linear(64, 256)
    model = nn.Sequential(hidden, nn.ReLU(), nn.Linear(256, 10)).to(dtype)
    first = hidden.weight.clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0001)
    for _ in range(15):
        for rows in torch.randperm(1400).split(25):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(X[1400:]).float(), y[1400:])
    return {"loss": loss.item(), "unchanged": (hidden.weight == first).float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["unchanged"] > 0.5 and outcome.measured["loss"] > 1.5
