"""Two random images are passed through the network first, to see that all shapes fit.

Suspicious: the network runs in training mode without gradients, on noise, and normalization takes
the noise into its averages.

Right: an average that keeps nine tenths in each step has forgotten the noise after a few dozen
batches. What is measured is measured in evaluation mode; the function that does so then sets the
network back to training.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def evaluate(model: nn.Module, X: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        accuracy: float = (model(X).argmax(1) == y).float().mean().item()
    model.train()
    return accuracy


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(digits.target)
    train, val = torch.randperm(len(X)).split(1400)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(108, 10),
    )  # fmt: skip
    with torch.no_grad():
        shape = model(torch.rand(2, 1, 8, 8)).shape
    if shape != (2, 10):
        raise RuntimeError(f"expected logits of shape (2, 10), got {tuple(shape)}")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(4):
        for rows in train[torch.randperm(1400)].split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
        accuracy = evaluate(model, X[val], y[val])
    return {"accuracy": accuracy}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
