"""A normalization by hand goes over the examples of the batch.

Symptom: the network works on batches and returns the same for every example that comes alone.

Cause: ``mean(0)`` is over the examples. Each then depends on its companions, and one that is alone
is its own mean: what is left of it is zero.

Cure: go over the features of each example, ``mean(1, keepdim=True)``, as layer normalization does.

Met: in normalizations by hand, and where ``dim=0`` is written for the first axis that matters.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "samples-mixed-across-the-batch"


def broken(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.head = nn.Linear(13, 24), nn.Linear(24, 3)
            self.gain = nn.Parameter(torch.ones(24))

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            Z = self.hidden(X)
            centered = Z - Z.mean(0, keepdim=True)
            scale = (centered.square().mean(0, keepdim=True) + 1e-5).sqrt()
            logits: torch.Tensor = self.head(torch.relu(self.gain * centered / scale))
            return logits

    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels)
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X), y).backward()
        optimizer.step()
    with torch.no_grad():
        together = (model(X).argmax(1) == y).float().mean()
        alone = torch.cat([model(example[None]) for example in X])
    return {
        "accuracy": together.item(),
        "accuracy_alone": (alone.argmax(1) == y).float().mean().item(),
    }


def mended(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.head = nn.Linear(13, 24), nn.Linear(24, 3)
            self.gain = nn.Parameter(torch.ones(24))

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            Z = self.hidden(X)
            centered = Z - Z.mean(1, keepdim=True)
            scale = (centered.square().mean(1, keepdim=True) + 1e-5).sqrt()
            logits: torch.Tensor = self.head(torch.relu(self.gain * centered / scale))
            return logits

    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels)
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X), y).backward()
        optimizer.step()
    with torch.no_grad():
        together = (model(X).argmax(1) == y).float().mean()
        alone = torch.cat([model(example[None]) for example in X])
    return {
        "accuracy": together.item(),
        "accuracy_alone": (alone.argmax(1) == y).float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy_alone"] < outcome.measured["accuracy"] - 0.3
