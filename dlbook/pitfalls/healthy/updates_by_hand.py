"""Parameters are changed by hand, and there is no optimizer.

Suspicious: no optimizer is made, ``backward`` is never called, and parameters are changed in place.

Right: ``autograd.grad`` returns the gradients instead of adding them to ``grad``, so that nothing
is to be cleared. The step of gradient descent is one line; under ``no_grad`` it is in no graph.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_iris
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    flowers, species = load_iris(return_X_y=True)
    X, y = torch.tensor(flowers, dtype=torch.float32), torch.tensor(species)
    order = torch.randperm(150)
    train, test = order[:100], order[100:]
    X = (X - X[train].mean(0)) / X[train].std(0)
    W1 = (torch.randn(4, 16) / 2).requires_grad_()
    b1 = torch.zeros(16, requires_grad=True)
    W2 = (torch.randn(16, 3) / 4).requires_grad_()
    b2 = torch.zeros(3, requires_grad=True)
    parameters = [W1, b1, W2, b2]
    for _ in range(150):
        logits = (X[train] @ W1 + b1).relu() @ W2 + b2
        loss = nn.functional.cross_entropy(logits, y[train])
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, gradient in zip(parameters, gradients, strict=True):
                p -= 0.2 * gradient
    with torch.no_grad():
        predicted = ((X[test] @ W1 + b1).relu() @ W2 + b2).argmax(1)
    return {"accuracy": (predicted == y[test]).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.8
