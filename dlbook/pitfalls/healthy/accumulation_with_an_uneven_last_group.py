"""Gradients of several batches make one step, and the last step of an epoch is made of fewer.

Suspicious: steps come after four, four and two backward passes, and the loss is divided by another
number in the last group, and by no round one, since the last batch is smaller.

Right: each batch adds the sum over its records, divided by how many records the whole group has,
so that each record counts alike in its step and none is left over for the next epoch.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    X = torch.tensor(scale(inputs), dtype=torch.float32)
    Y = torch.tensor(scale(targets), dtype=torch.float32)[:, None]
    train, test = torch.randperm(len(X)).split([300, 142])
    model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.8, weight_decay=0.01)
    for _ in range(40):
        batches = train[torch.randperm(len(train))].split(32)
        for first in range(0, len(batches), 4):
            group = batches[first : first + 4]
            size = sum(len(rows) for rows in group)
            optimizer.zero_grad()
            for rows in group:
                loss = nn.functional.mse_loss(model(X[rows]), Y[rows], reduction="sum") / size
                loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(X[test]), Y[test])
    return {"variance explained": 1 - (error / Y[test].var()).item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["variance explained"] > 0.3
