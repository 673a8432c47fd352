"""A network trained on one task is frozen, and a new head learns another one.

Suspicious: most parameters require no gradient, are in no optimizer, and never change.

Right: the features come from a task with many examples. The new one, whether a digit is drawn with
a loop, has forty, enough to train a linear head on them.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


class Classifier(nn.Module):
    """A trunk that makes features, and a head that judges by them."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.head = nn.Linear(32, classes)

    def forward(self, X: Tensor) -> Tensor:
        """Return logits of shape (n, classes)."""
        logits: Tensor = self.head(self.backbone(X))
        return logits


def train(model: Classifier, X: Tensor, y: Tensor, epochs: int) -> None:
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=0.01)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(20):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(X))
    X, y = X[order], y[order]
    model = Classifier(classes=10)
    train(model, X[:1000], y[:1000], epochs=8)

    model.backbone.requires_grad_(False)
    model.head = nn.Linear(32, 2)
    loop = torch.isin(y, torch.tensor([0, 6, 8, 9])).long()
    train(model, X[1000:1040], loop[1000:1040], epochs=40)
    with torch.no_grad():
        right = model(X[1040:]).argmax(1) == loop[1040:]
    return {"accuracy on the new task": right.float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy on the new task"] > 0.75
