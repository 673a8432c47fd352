"""Each batch is first moved against the network, then learned.

Suspicious: there are two backward passes for each step, the inputs require a gradient, and the loss
is made larger on purpose.

Right: the first pass asks how the inputs must change to raise the loss, and leaves no gradient in
the parameters, since ``autograd.grad`` returns its result. The second one trains on inputs moved
that way, so that such moves do less harm.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def attacked(model: nn.Module, X: Tensor, y: Tensor) -> Tensor:
    X = X.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(nn.functional.cross_entropy(model(X), y), X)
    return (X + 0.1 * slope.sign()).detach().clamp(0, 1)


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    train, test = torch.randperm(len(X)).split(1400)
    model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(12):
        for rows in train[torch.randperm(1400)].split(50):
            moved = attacked(model, X[rows], y[rows])
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(moved), y[rows]).backward()
            optimizer.step()
    moved = attacked(model, X[test], y[test])
    with torch.no_grad():
        return {
            "accuracy": (model(X[test]).argmax(1) == y[test]).float().mean().item(),
            "accuracy under attack": (model(moved).argmax(1) == y[test]).float().mean().item(),
        }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy under attack"] > 0.5
