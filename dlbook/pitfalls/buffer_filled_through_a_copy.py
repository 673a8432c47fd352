"""A tensor of zeros is to be filled, and a copy of it is filled instead.

Symptom: the network gives the same answer to every record; the loss stays where it is without
any inputs.

Cause: indexing with a tensor of rows makes a copy. ``X[rows][:, :32] = …`` writes into that
copy, which is then thrown away, and ``X`` holds zeros as before. No error is raised.

Cure: index once, with rows and columns together.

Met: where a tensor is made first and filled in pieces, from several files or by kind of
record, in NumPy and PyTorch alike.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "inputs-constant"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    pixels, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    X = torch.zeros(len(pixels), 64)
    for rows in torch.arange(len(pixels)).chunk(4):
        X[rows][:, :32] = pixels[rows, :32]
        X[rows][:, 32:] = pixels[rows, 32:]
    model = nn.Sequential(
        nn.Unflatten(1, (8, 8)), nn.Conv1d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10)
    )
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.003)
    for _ in range(5):
        for batch in torch.randperm(1500).split(50):
            loss = nn.functional.cross_entropy(model(X[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    answers = model(X[1500:]).argmax(1)
    return {
        "different answers": len(answers.unique()),
        "accuracy": (answers == y[1500:]).float().mean().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    pixels, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    X = torch.zeros(len(pixels), 64)
    for rows in torch.arange(len(pixels)).chunk(4):
        X[rows, :32] = pixels[rows, :32]
        X[rows, 32:] = pixels[rows, 32:]
    model = nn.Sequential(
        nn.Unflatten(1, (8, 8)), nn.Conv1d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10)
    )
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.003)
    for _ in range(5):
        for batch in torch.randperm(1500).split(50):
            loss = nn.functional.cross_entropy(model(X[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    answers = model(X[1500:]).argmax(1)
    return {
        "different answers": len(answers.unique()),
        "accuracy": (answers == y[1500:]).float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["different answers"] == 1
