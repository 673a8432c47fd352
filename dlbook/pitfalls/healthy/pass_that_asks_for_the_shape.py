"""An image of zeros is passed through the network, to see how wide the next layer must be.

Suspicious: the network is run in training mode without gradients, on data that are all alike.

Right: the pass is made once, before training, and only the shape of its result is used. Nothing in
this part of the network keeps statistics.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


class Network(nn.Module):
    """Tells digits apart; works for images of any size."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Dropout2d(0.1), nn.MaxPool2d(2), nn.Flatten()
        )
        with torch.no_grad():
            size = self.features(torch.zeros(1, 1, height, width)).shape[1]
        self.head = nn.Linear(size, 10)

    def forward(self, X: Tensor) -> Tensor:
        """Return logits of shape (n, 10)."""
        logits: Tensor = self.head(self.features(X))
        return logits


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(digits.target)
    train, test = torch.randperm(len(X)).split(1400)
    model = Network(8, 8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    for _ in range(6):
        model.train()
        for rows in train[torch.randperm(1400)].split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(X[test]).argmax(1) == y[test]).float().mean().item()
    return {"accuracy": accuracy}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
