"""A loss that takes probabilities is given logits.

Symptom: the first loss raises a RuntimeError: all elements of input should be between 0 and 1.

Cause: ``BCELoss`` takes the logarithm of what it gets and of one minus that, so that both must be
probabilities. The last layer is linear, and its outputs can be any number.

Cure: use ``BCEWithLogitsLoss``, which takes logits.

Met: in networks that follow the advice to end with the linear layer and keep the loss that they
had before.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "binary-loss-on-logits"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(30)
            self.hidden = nn.Linear(30, 20)
            self.out = nn.Linear(20, 1)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.out(torch.relu(self.hidden(self.norm(X))))
            return out

    inputs, labels = load_breast_cancer(return_X_y=True)
    X, Y = torch.tensor(inputs).float(), torch.tensor(labels).float()[:, None]
    network = Network()
    order = torch.randperm(len(X))
    train, validation = order[:400], order[400:]
    criterion = nn.BCELoss()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(10):
        for rows in train[torch.randperm(len(train))].split(50):
            optimizer.zero_grad()
            criterion(network(X[rows]), Y[rows]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        accuracy = ((network(X[validation]) > 0) == (Y[validation] == 1)).float().mean().item()
    return {"accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(30)
            self.hidden = nn.Linear(30, 20)
            self.out = nn.Linear(20, 1)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.out(torch.relu(self.hidden(self.norm(X))))
            return out

    inputs, labels = load_breast_cancer(return_X_y=True)
    X, Y = torch.tensor(inputs).float(), torch.tensor(labels).float()[:, None]
    network = Network()
    order = torch.randperm(len(X))
    train, validation = order[:400], order[400:]
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(10):
        for rows in train[torch.randperm(len(train))].split(50):
            optimizer.zero_grad()
            criterion(network(X[rows]), Y[rows]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        accuracy = ((network(X[validation]) > 0) == (Y[validation] == 1)).float().mean().item()
    return {"accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return "should be between 0 and 1" in outcome.error
