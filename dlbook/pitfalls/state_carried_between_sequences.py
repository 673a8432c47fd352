"""A recurrent network begins each sequence with the state that another one left.

Symptom: the same images get other predictions when asked a second time, and accuracy is lower than
that of the same network begun at zero.

Cause: the state is kept as an attribute and handed to the next call. What the network says of an
image then depends on the images before it, which have nothing to do with it.

Cure: begin each independent sequence without a state, which PyTorch takes for zeros.

Met: where a class written for one long stream, in which the state must be carried on, is used for
separate sequences.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "state-carried-between-sequences"


def broken(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.head = nn.GRU(8, 24, batch_first=True), nn.Linear(24, 10)
            self.state: torch.Tensor | None = None

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            states, state = self.gru(X, self.state)
            self.state = state.detach()
            logits: torch.Tensor = self.head(states.mean(1))
            return logits

    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images[:1750] / 16, dtype=torch.float32).reshape(-1, 8, 8)
    y = torch.tensor(labels[:1750])
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(6):
        for rows in torch.randperm(1500).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        first, second = model(X[1500:1550]), model(X[1500:1550])
    accuracy = (first.argmax(1) == y[1500:1550]).float().mean()
    shift = (first.softmax(1) - second.softmax(1)).abs().max()
    return {"accuracy": accuracy.item(), "shift": shift.item()}


def mended(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.head = nn.GRU(8, 24, batch_first=True), nn.Linear(24, 10)
            self.state: torch.Tensor | None = None

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            states, state = self.gru(X)
            self.state = state.detach()
            logits: torch.Tensor = self.head(states.mean(1))
            return logits

    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images[:1750] / 16, dtype=torch.float32).reshape(-1, 8, 8)
    y = torch.tensor(labels[:1750])
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(6):
        for rows in torch.randperm(1500).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        first, second = model(X[1500:1550]), model(X[1500:1550])
    accuracy = (first.argmax(1) == y[1500:1550]).float().mean()
    shift = (first.softmax(1) - second.softmax(1)).abs().max()
    return {"accuracy": accuracy.item(), "shift": shift.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["shift"] > 0.1
