"""Targets of some hundreds are compared with the outputs as they are.

Suspicious: targets are not scaled, and the loss is in the thousands from the first step to the
last.

Right: the network multiplies by the spread of the training targets and adds their mean at its end,
so that its layers work with numbers near 1. A squared error is in the square of the target's unit,
and Adam's steps do not depend on how large it is.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Regressor(nn.Module):
        mean: Tensor
        spread: Tensor

        def __init__(self, X: Tensor, Y: Tensor) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(X.shape[1], affine=False)
            self.layers = nn.Sequential(nn.Linear(X.shape[1], 20), nn.ReLU(), nn.Linear(20, 1))
            self.register_buffer("mean", Y.mean(0))
            self.register_buffer("spread", Y.std(0))

        def forward(self, X: Tensor) -> Tensor:
            outputs: Tensor = self.layers(self.norm(X))
            return self.mean + self.spread * outputs

    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True, scaled=False)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor(targets, dtype=torch.float32).reshape(-1, 1)
    train, test = torch.randperm(len(X)).split([300, 142])
    model = Regressor(X[train], Y[train])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(25):
        model.train()
        for rows in train[torch.randperm(300)].split(30):
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(X[test]), Y[test])
    return {"variance explained": 1 - (error / Y[test].var()).item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["variance explained"] > 0.25
