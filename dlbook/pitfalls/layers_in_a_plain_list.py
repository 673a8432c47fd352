"""Layers are kept in a plain list.

Symptom: a network that was trained, saved and loaded again guesses, without any error. The file
holds the head alone.

Cause: a module knows the layers that are its attributes, not those inside a list. They are missing
from ``parameters``, so that they never learn, from ``state_dict``, so that they are not saved, and
from ``to``, so that they stay on the CPU.

Cure: keep them in ``nn.ModuleList``.

Met: in networks with a number of layers that is an argument.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "layers-not-registered"


def broken(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self, depth: int) -> None:
            super().__init__()
            layers = [nn.Linear(64, 64) for _ in range(depth)]
            self.layers = layers
            self.head = nn.Linear(64, 10)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                X = torch.relu(layer(X))
            logits: torch.Tensor = self.head(X)
            return logits

    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model = Network(depth=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(50):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X), y).backward()
        optimizer.step()
    loaded = Network(depth=2)
    loaded.load_state_dict(model.state_dict())
    trained = (model(X).argmax(1) == y).float().mean()
    after = (loaded(X).argmax(1) == y).float().mean()
    return {"accuracy": trained.item(), "accuracy_when_loaded": after.item()}


def mended(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self, depth: int) -> None:
            super().__init__()
            layers = [nn.Linear(64, 64) for _ in range(depth)]
            self.layers = nn.ModuleList(layers)
            self.head = nn.Linear(64, 10)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                X = torch.relu(layer(X))
            logits: torch.Tensor = self.head(X)
            return logits

    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model = Network(depth=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(50):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X), y).backward()
        optimizer.step()
    loaded = Network(depth=2)
    loaded.load_state_dict(model.state_dict())
    trained = (model(X).argmax(1) == y).float().mean()
    after = (loaded(X).argmax(1) == y).float().mean()
    return {"accuracy": trained.item(), "accuracy_when_loaded": after.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy_when_loaded"] < outcome.measured["accuracy"] - 0.2
