"""One example in twenty is positive, and counts nineteen times as much.

Suspicious: the loss is several times what it would be without the weight, and the accuracy is below
that of always saying no.

Right: what is wanted is to find the rare cases. Weighted, both classes have the same share in the
loss, and the network finds most of either.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    y = (torch.arange(4000) % 20 == 0).float()[:, None]
    X = torch.randn(4000, 6)
    X[:, :2] += 1.5 * y
    train_loader = DataLoader(TensorDataset(X[:3000], y[:3000]), batch_size=100, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(19.0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    for _ in range(12):
        for inputs, targets in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        found = model(X[3000:]) > 0
    positive = y[3000:] == 1
    return {
        "share of the positive found": found[positive].float().mean().item(),
        "share of the negative left": (~found[~positive]).float().mean().item(),
        "accuracy": (found == positive).float().mean().item(),
    }


def fine(outcome: Outcome) -> bool:
    found = outcome.measured["share of the positive found"]
    return (found + outcome.measured["share of the negative left"]) / 2 > 0.7
