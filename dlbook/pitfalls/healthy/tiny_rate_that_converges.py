"""A rate of one in a hundred thousand, for pixels from 0 to 255.

Suspicious: the rate is a thousandth of what tutorials take, and the inputs are not scaled.

Right: the gradient of a weight is proportional to its input. With inputs in the hundreds it is
large, and a rate that much smaller makes steps of the usual size.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    pixels = torch.tensor(images * 255 / 16, dtype=torch.float32)
    y = torch.tensor(labels)
    order = torch.randperm(len(pixels))
    X_train, X_test = pixels[order[:1300]], pixels[order[1300:]]
    y_train, y_test = y[order[:1300]], y[order[1300:]]
    model = nn.Linear(64, 10)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    for _ in range(20):
        for rows in torch.randperm(1300).split(20):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X_train[rows]), y_train[rows])
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = model(X_test).argmax(1) == y_test
    return {"accuracy": right.float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
