"""A layer is made within ``forward``.

Symptom: the same images get other predictions each time, in evaluation mode too, and accuracy stays
low.

Cause: each call makes the layer anew, with new random weights. It is never in the optimizer, and
what the rest learns to go with it is worthless at the next call.

Cure: make it once, in ``__init__``, and use it in ``forward``.

Met: in networks ported from a framework whose layers are made where they are called.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "layer-made-in-forward"


def broken(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(1, 8, 3)
            self.head = nn.Linear(32, 10)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            A = torch.relu(self.convolution(X)).flatten(1)
            hidden = nn.Linear(288, 32)
            logits: torch.Tensor = self.head(torch.relu(hidden(A)))
            return logits

    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(3):
        model.train()
        for rows in torch.randperm(len(X)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        first, second = model(X).argmax(1), model(X).argmax(1)
    return {
        "accuracy": (first == y).float().mean().item(),
        "same_again": (first == second).float().mean().item(),
    }


def mended(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(1, 8, 3)
            self.hidden = nn.Linear(288, 32)
            self.head = nn.Linear(32, 10)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            A = torch.relu(self.convolution(X)).flatten(1)
            logits: torch.Tensor = self.head(torch.relu(self.hidden(A)))
            return logits

    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(3):
        model.train()
        for rows in torch.randperm(len(X)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        first, second = model(X).argmax(1), model(X).argmax(1)
    return {
        "accuracy": (first == y).float().mean().item(),
        "same_again": (first == second).float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["same_again"] < 0.9 and outcome.measured["accuracy"] < 0.6
