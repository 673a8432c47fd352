"""Inputs of very different sizes go into the network as they are.

Suspicious: one column of the data goes up to 1700 and another to 0.7, and nothing scales them.

Right: the first layer is batch normalization, which does that within the network and keeps what it
needs for new records with the weights.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    wines = TensorDataset(torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels))
    train, test = random_split(wines, [120, 58])
    loader = DataLoader(train, batch_size=20, shuffle=True)
    model = nn.Sequential(nn.BatchNorm1d(13), nn.Linear(13, 16), nn.LeakyReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(30):
        model.train()
        for X, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X), y).backward()
            optimizer.step()
    model.eval()
    X, y = next(iter(DataLoader(test, batch_size=58)))
    with torch.no_grad():
        return {"accuracy": (model(X).argmax(1) == y).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
