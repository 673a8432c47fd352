"""All labels are the same, because a comparison of texts never holds.

Symptom: the loss falls and the accuracy is 1, too good to be true; asked about any patient,
the network answers no.

Cause: the file has a blank behind each comma, so that the last field reads " malignant", which
is not equal to "malignant". Every label is 0, and a network that always answers 0 is right.

Cure: let the reader of the file skip the blank; count the labels of each class before
training.

Met: where labels are made by a comparison: with a text of another case or with blanks, with
the number 1 where the file has "1", with a threshold in another unit.
"""

from __future__ import annotations

import csv
import io

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "labels-constant"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    data = load_breast_cancer()
    names = data.target_names[data.target]
    lines = [", ".join(map(str, [*row, name])) for row, name in zip(data.data, names, strict=True)]
    table = list(csv.reader(io.StringIO("\n".join(lines))))
    X = torch.tensor([[float(field) for field in row[:-1]] for row in table])
    X = (X - X.mean(0)) / X.std(0)
    y = torch.tensor([float(row[-1] == "malignant") for row in table])
    model = nn.Linear(30, 1)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
    for _ in range(300):
        logits = model(X).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = ((logits > 0) == y).float().mean()
    return {
        "loss": loss.item(),
        "accuracy": accuracy.item(),
        "called malignant": (logits > 0).float().mean().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    data = load_breast_cancer()
    names = data.target_names[data.target]
    lines = [", ".join(map(str, [*row, name])) for row, name in zip(data.data, names, strict=True)]
    table = list(csv.reader(io.StringIO("\n".join(lines)), skipinitialspace=True))
    X = torch.tensor([[float(field) for field in row[:-1]] for row in table])
    X = (X - X.mean(0)) / X.std(0)
    y = torch.tensor([float(row[-1] == "malignant") for row in table])
    model = nn.Linear(30, 1)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
    for _ in range(300):
        logits = model(X).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = ((logits > 0) == y).float().mean()
    return {
        "loss": loss.item(),
        "accuracy": accuracy.item(),
        "called malignant": (logits > 0).float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] == 1 and outcome.measured["called malignant"] == 0
