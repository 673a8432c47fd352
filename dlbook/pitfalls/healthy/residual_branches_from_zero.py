"""Each residual branch starts as zero.

Suspicious: the scale of the last normalization in each branch is zero, so that at the first step
the layers before it get no gradient at all.

Right: the network starts as its shortcuts alone, through which signals and gradients pass
unchanged. The scale does get a gradient; once it has left zero, so do the layers before it.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


class Block(nn.Module):
    """Adds two layers to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.norm1, self.norm2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, X: Tensor) -> Tensor:
        """Return a tensor of the shape of X."""
        branch: Tensor = self.norm2(self.second(self.norm1(self.first(X)).relu()))
        return (X + branch).relu()


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(X))
    train, test = order[:1400], order[1400:]
    blocks = [Block(48) for _ in range(4)]
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), *blocks, nn.Linear(48, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for _ in range(5):
        model.train()
        for rows in train[torch.randperm(1400)].split(50):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(X[test]).argmax(1) == y[test]).float().mean().item()
    return {"accuracy": accuracy, "largest scale": blocks[0].norm2.weight.abs().max().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
