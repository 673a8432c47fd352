"""A loader that draws records is made anew in each epoch, with the same seed.

Symptom: after 100 epochs, which draw 10 images each, the network has seen 10 images of 1500. It
knows them by heart, and is wrong in four of ten others or more.

Cause: the generator made with the loader begins at its seed each time. Every epoch draws the same
records in the same order.

Cure: make the loader once; its generator then goes on from epoch to epoch.

Met: where one epoch is a function that makes its loader, and with samplers that draw a part of a
large set or balance classes. A loader that shuffles all records gives the same order each epoch.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "same-draws-each-epoch"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(images))
    X, y = torch.tensor(images / 16, dtype=torch.float32)[order], torch.tensor(labels)[order]
    data = TensorDataset(torch.arange(1500), X[:1500], y[:1500])
    model = nn.Sequential(nn.Linear(64, 64), nn.Hardswish(), nn.Linear(64, 10))
    optimizer = torch.optim.Adamax(model.parameters(), lr=0.02)
    seen = set()
    for _ in range(100):
        generator = torch.Generator().manual_seed(seed)
        sampler = RandomSampler(data, num_samples=10, generator=generator)
        for rows, xb, yb in DataLoader(data, batch_size=10, sampler=sampler):
            seen.update(rows.tolist())
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (model(X[1500:]).argmax(1) == y[1500:]).float().mean().item()
    return {"images seen": len(seen), "last loss": loss.item(), "accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(images))
    X, y = torch.tensor(images / 16, dtype=torch.float32)[order], torch.tensor(labels)[order]
    data = TensorDataset(torch.arange(1500), X[:1500], y[:1500])
    model = nn.Sequential(nn.Linear(64, 64), nn.Hardswish(), nn.Linear(64, 10))
    optimizer = torch.optim.Adamax(model.parameters(), lr=0.02)
    generator = torch.Generator().manual_seed(seed)
    sampler = RandomSampler(data, num_samples=10, generator=generator)
    seen = set()
    for _ in range(100):
        for rows, xb, yb in DataLoader(data, batch_size=10, sampler=sampler):
            seen.update(rows.tolist())
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (model(X[1500:]).argmax(1) == y[1500:]).float().mean().item()
    return {"images seen": len(seen), "last loss": loss.item(), "accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["images seen"] == 10 and outcome.measured["accuracy"] < 0.6
