"""A trained network is given images of another brightness, to gather their statistics.

Suspicious: after training, batches pass through the network in training mode without gradients.

Right: that is how batch normalization takes up means and variances of new images, and it needs no
labels. No weight changes; accuracy is then measured in evaluation mode, on other images.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


class Network(nn.Module):
    """Tells digits apart."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(64)
        self.hidden = nn.Linear(64, 48)
        self.norm_hidden = nn.BatchNorm1d(48)
        self.head = nn.Linear(48, 10)

    def forward(self, X: Tensor) -> Tensor:
        """Return logits of shape (n, 10)."""
        logits: Tensor = self.head(self.norm_hidden(self.hidden(self.norm(X))).relu())
        return logits


def accuracy(model: nn.Module, X: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        share: float = (model(X).argmax(1) == y).float().mean().item()
    return share


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    train, gather, test = torch.randperm(len(X)).split([1000, 400, 397])
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(5):
        model.train()
        for rows in train[torch.randperm(1000)].split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()

    darker = 0.4 * X + 0.5
    before = accuracy(model, darker[test], y[test])
    model.train()
    with torch.no_grad():
        for _ in range(12):
            for rows in gather[torch.randperm(400)].split(50):
                model(darker[rows])
    return {"before": before, "after": accuracy(model, darker[test], y[test])}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["after"] > max(0.8, outcome.measured["before"] + 0.1)
