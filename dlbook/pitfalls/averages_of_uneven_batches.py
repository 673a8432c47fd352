"""The accuracies of batches of different sizes are averaged as if they were alike.

Symptom: the accuracy reported differs by 5 points or more from that over the same records in one
batch; another batch size gives another number.

Cause: 129 records in batches of 128 leave one over. Its batch counts as much as the other: one
record decides half of the result.

Cure: count the right answers and divide once, by the number of records.

Met: in validation loops that end with a division by ``len(loader)``; losses are averaged so too.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "batch-averages-unweighted"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    X = 20 * torch.tensor(inputs, dtype=torch.float32)
    worse = torch.tensor(targets > 140, dtype=torch.float32)
    train, valid = random_split(TensorDataset(X, worse), [313, 129])
    model = nn.Sequential(nn.Linear(10, 8), nn.ELU(), nn.Linear(8, 1), nn.Flatten(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    for _ in range(10):
        for xb, yb in DataLoader(train, batch_size=16, shuffle=True):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(xb), yb).backward()
            optimizer.step()
    loader = DataLoader(valid, batch_size=128)
    accuracy = 0.0
    with torch.inference_mode():
        for xb, yb in loader:
            accuracy += ((model(xb) > 0) == yb).float().mean().item() / len(loader)
        xb, yb = next(iter(DataLoader(valid, batch_size=129)))
        in_one_batch = ((model(xb) > 0) == yb).float().mean().item()
    return {"accuracy": accuracy, "in one batch": in_one_batch}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    X = 20 * torch.tensor(inputs, dtype=torch.float32)
    worse = torch.tensor(targets > 140, dtype=torch.float32)
    train, valid = random_split(TensorDataset(X, worse), [313, 129])
    model = nn.Sequential(nn.Linear(10, 8), nn.ELU(), nn.Linear(8, 1), nn.Flatten(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    for _ in range(10):
        for xb, yb in DataLoader(train, batch_size=16, shuffle=True):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(xb), yb).backward()
            optimizer.step()
    loader = DataLoader(valid, batch_size=128)
    accuracy = 0.0
    with torch.inference_mode():
        for xb, yb in loader:
            accuracy += ((model(xb) > 0) == yb).float().sum().item() / len(valid)
        xb, yb = next(iter(DataLoader(valid, batch_size=129)))
        in_one_batch = ((model(xb) > 0) == yb).float().mean().item()
    return {"accuracy": accuracy, "in one batch": in_one_batch}


def shows(outcome: Outcome) -> bool:
    return abs(outcome.measured["accuracy"] - outcome.measured["in one batch"]) > 0.05
