"""The network applies softmax, but not to what the loss gets.

Suspicious: the model holds a softmax, and cross-entropy is the loss.

Right: training calls the part that returns logits; the probabilities are for the reader of a
prediction, and their order is that of the logits.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Sequential(nn.Linear(13, 16), nn.Tanh(), nn.Linear(16, 3))
            self.softmax = nn.Softmax(dim=1)

        def forward(self, X: Tensor) -> Tensor:
            probabilities: Tensor = self.softmax(self.logits(X))
            return probabilities

    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X, y = torch.tensor(scale(inputs), dtype=torch.float32), torch.tensor(labels)
    train, test = torch.randperm(len(X)).split([120, 58])
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model.logits(X[train]), y[train])
        loss.backward()
        optimizer.step()
        if epoch % 10 == 9:
            with torch.no_grad():
                certainty, answer = model(X[test]).max(dim=1)
    return {
        "accuracy": (answer == y[test]).float().mean().item(),
        "mean certainty": certainty.mean().item(),
    }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85 and outcome.measured["mean certainty"] > 0.7
