"""A result that the backward pass needs is changed in place.

Symptom: the first backward pass ends with ``one of the variables needed for gradient computation
has been modified by an inplace operation``.

Cause: the derivative of the sigmoid is ``A (1 - A)``, computed from its result. ``+=`` overwrites
that result, and what the backward pass would find there is no longer what the sigmoid returned.

Cure: make a new tensor, ``A = A + …``.

Met: in shortcuts around a layer, and where in-place operations were to save memory.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "changed-in-place"


def broken(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.head = nn.Linear(30, 30), nn.Linear(30, 1)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            A = torch.sigmoid(self.hidden(X))
            A += X
            logits: torch.Tensor = self.head(A)
            return logits.squeeze(1)

    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels, dtype=torch.float32)
    model = Network()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.003)
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(X), y)
        loss.backward()
        optimizer.step()
    return {"accuracy": ((model(X) > 0) == (y > 0)).float().mean().item()}


def mended(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.head = nn.Linear(30, 30), nn.Linear(30, 1)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            A = torch.sigmoid(self.hidden(X))
            A = A + X
            logits: torch.Tensor = self.head(A)
            return logits.squeeze(1)

    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels, dtype=torch.float32)
    model = Network()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.003)
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(X), y)
        loss.backward()
        optimizer.step()
    return {"accuracy": ((model(X) > 0) == (y > 0)).float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return "modified by an inplace operation" in outcome.error
