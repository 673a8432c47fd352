"""Arrays of NumPy go in as they are, in double precision.

Symptom: the first call of the network raises a RuntimeError: the types of two matrices differ,
Double and Float.

Cause: NumPy's floats have 64 bits unless told otherwise and ``from_numpy`` keeps them; the
parameters of a network have 32.

Cure: turn the inputs into float32 with ``float``.

Met: wherever data come by way of NumPy or from a table.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "inputs-of-wrong-type"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    X, y = torch.from_numpy(inputs), torch.from_numpy(labels)
    model = nn.Sequential(nn.Linear(13, 20), nn.Softplus(), nn.Linear(20, 3))
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"accuracy": (model(X).argmax(1) == y).float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    X, y = torch.from_numpy(inputs).float(), torch.from_numpy(labels)
    model = nn.Sequential(nn.Linear(13, 20), nn.Softplus(), nn.Linear(20, 3))
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"accuracy": (model(X).argmax(1) == y).float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return "Double" in outcome.error and "Float" in outcome.error
