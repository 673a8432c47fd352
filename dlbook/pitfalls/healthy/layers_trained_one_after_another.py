"""Layers are added one at a time, and each has an optimizer of its own.

Suspicious: an optimizer is made inside a loop, most layers are in none of them at a time, and what
passes on from layer to layer is cut from its graph.

Right: each layer learns to tell apart what the one before hands on, with a head that is thrown
away, and is then left as it is. Nothing is to flow back to the layers before.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    train, test = torch.randperm(len(X)).split(1400)
    inputs, accuracies = X, []
    for width in (64, 48, 32):
        layer = nn.Sequential(nn.Linear(inputs.shape[1], width), nn.ReLU(), nn.LayerNorm(width))
        head = nn.Linear(width, 10)
        optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.005)
        for _ in range(5):
            for rows in train[torch.randperm(1400)].split(50):
                loss = nn.functional.cross_entropy(head(layer(inputs[rows])), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            inputs = layer(inputs)
            predicted = head(inputs[test]).argmax(1)
        accuracies.append((predicted == y[test]).float().mean().item())
    return {"accuracy": accuracies[-1], "accuracy of the first layer": accuracies[0]}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
