"""The most telling columns are chosen before the records are split.

Symptom: the accuracy in validation is far above that on records that come in later.

Cause: among thousands of columns some go with the labels by accident. Those that do so over
all records do so in the validation part too, whose labels were used to find them.

Cure: choose with the training part alone.

Met: with many columns and few records, as in genetics, and wherever data are prepared in one
place and split in another: the same holds for encodings made from targets.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "columns-chosen-before-the-split"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    y = torch.randint(2, (1200,))
    X = torch.randn(1200, 8000)
    X[:, :4] += 1.2 * y[:, None]  # four columns tell something, the others nothing
    train, validation, later = torch.arange(1200).split([100, 100, 1000])
    known = torch.arange(200)
    differences = X[known][y[known] == 1].mean(0) - X[known][y[known] == 0].mean(0)
    columns = differences.abs().topk(40).indices
    X = X[:, columns]
    model = nn.Linear(40, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(X[train]), y[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = model(X).argmax(1) == y
    return {
        "validation": right[validation].float().mean().item(),
        "later": right[later].float().mean().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    y = torch.randint(2, (1200,))
    X = torch.randn(1200, 8000)
    X[:, :4] += 1.2 * y[:, None]  # four columns tell something, the others nothing
    train, validation, later = torch.arange(1200).split([100, 100, 1000])
    known = train
    differences = X[known][y[known] == 1].mean(0) - X[known][y[known] == 0].mean(0)
    columns = differences.abs().topk(40).indices
    X = X[:, columns]
    model = nn.Linear(40, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(X[train]), y[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = model(X).argmax(1) == y
    return {
        "validation": right[validation].float().mean().item(),
        "later": right[later].float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["validation"] > outcome.measured["later"] + 0.15
