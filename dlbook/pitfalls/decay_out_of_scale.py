"""Weight decay is so strong that the weights die.

Symptom: all records get the same answer, and the loss stays near that of guessing, log 3.

Cause: decay adds a multiple of each weight to its gradient. With a factor of 1 it outweighs
the loss, whose gradients are far smaller than the weights, and pulls all weights to zero.

Cure: take a smaller factor, 0.0001 to 0.01 with a loss that is a mean; choose it by validation.

Met: where the factor is that of a library which divides the penalty by the number of examples, and
where it is guessed.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "decay-out-of-scale"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    X = (X - X.mean(0)) / X.std(0)
    order = torch.randperm(len(X))
    train, test = order[:120], order[120:]
    model = nn.Sequential(nn.Linear(13, 24), nn.ELU(), nn.Linear(24, 8), nn.ELU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1)
    for _ in range(40):
        for rows in train[torch.randperm(120)].split(30):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits = model(X[test])
    return {
        "spread": logits.std(0).max().item(),
        "loss": nn.functional.cross_entropy(logits, y[test]).item(),
        "accuracy": (logits.argmax(1) == y[test]).float().mean().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    X = (X - X.mean(0)) / X.std(0)
    order = torch.randperm(len(X))
    train, test = order[:120], order[120:]
    model = nn.Sequential(nn.Linear(13, 24), nn.ELU(), nn.Linear(24, 8), nn.ELU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.001)
    for _ in range(40):
        for rows in train[torch.randperm(120)].split(30):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits = model(X[test])
    return {
        "spread": logits.std(0).max().item(),
        "loss": nn.functional.cross_entropy(logits, y[test]).item(),
        "accuracy": (logits.argmax(1) == y[test]).float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["spread"] < 0.01 and outcome.measured["loss"] > 1
