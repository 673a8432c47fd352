"""A trained layer is kept as it is, and a narrow detour beside it learns.

Suspicious: almost all weights are frozen, two linear layers follow each other with nothing between
them, and one of these starts at zero.

Right: the detour adds nothing at first, so that training starts from what was learned before. Its
product is a change of low rank, made of few numbers; the zeros move in the first step because
what they are multiplied with is not zero.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Adapted(nn.Module):
        def __init__(self, layer: nn.Linear, rank: int) -> None:
            super().__init__()
            self.layer = layer.requires_grad_(False)
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
            nn.init.zeros_(self.up.weight)

        def forward(self, X: Tensor) -> Tensor:
            frozen: Tensor = self.layer(X)
            change: Tensor = self.up(self.down(X))
            return frozen + change

    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    mirrored = X.reshape(-1, 8, 8).flip(2).flatten(1)

    def fit(model: nn.Module, X: Tensor, epochs: int) -> None:
        learning = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=0.01)
        for _ in range(epochs):
            for rows in torch.randperm(1400).split(50):
                loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def accuracy(model: nn.Module, X: Tensor) -> float:
        with torch.no_grad():
            return float((model(X[1400:]).argmax(1) == y[1400:]).float().mean())

    first, second = nn.Linear(64, 128), nn.Linear(128, 10)
    model = nn.Sequential(first, nn.ReLU(), second)
    fit(model, X, epochs=5)
    before = accuracy(model, mirrored)
    model = nn.Sequential(Adapted(first, rank=6), nn.ReLU(), Adapted(second, rank=6))
    fit(model, mirrored, epochs=8)
    return {"accuracy before": before, "accuracy": accuracy(model, mirrored)}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy before"] < 0.6 and outcome.measured["accuracy"] > 0.75
