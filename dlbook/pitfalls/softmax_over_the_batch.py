"""Softmax runs over the batch instead of the classes.

Symptom: taken one by one, all records get the same answer, the first class.

Cause: axis 0 is the batch. Softmax over it makes the records share each class among them, so that
the answer to one depends on which others stand beside it; a record alone has a probability of 1
for every class, and ``argmax`` takes the first.

Cure: apply softmax along the axis of the classes, 1.

Met: where the axis was left to a default or copied from code for a single vector, whose only axis
is 0.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "softmax-over-the-batch"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    X = (X - X.mean(0)) / X.std(0)
    network = nn.Sequential(nn.Linear(13, 16), nn.GELU(), nn.Linear(16, 3), nn.LogSoftmax(dim=0))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    order = torch.randperm(len(X))
    train, test = order[:120], order[120:]
    for _ in range(30):
        for rows in train[torch.randperm(120)].split(24):
            loss = nn.functional.nll_loss(network(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        answers = torch.cat([network(x[None]).argmax(1) for x in X[test]])
    accuracy = (answers == y[test]).float().mean().item()
    return {"classes answered": len(answers.unique()), "accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    X = (X - X.mean(0)) / X.std(0)
    network = nn.Sequential(nn.Linear(13, 16), nn.GELU(), nn.Linear(16, 3), nn.LogSoftmax(dim=1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    order = torch.randperm(len(X))
    train, test = order[:120], order[120:]
    for _ in range(30):
        for rows in train[torch.randperm(120)].split(24):
            loss = nn.functional.nll_loss(network(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        answers = torch.cat([network(x[None]).argmax(1) for x in X[test]])
    accuracy = (answers == y[test]).float().mean().item()
    return {"classes answered": len(answers.unique()), "accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["classes answered"] == 1 and outcome.measured["accuracy"] < 0.6
