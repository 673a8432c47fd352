"""The loss of most triplets is zero after a while, and so are their gradients.

Suspicious: of most triplets in a batch the loss is exactly zero, and nothing is classified.

Right: a triplet asks only that what belongs together is nearer than what does not, by a margin.
Where that holds, there is nothing left to learn from it.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(digits.target)
    train, test = torch.randperm(len(X)).split(1400)
    rows_of = [train[y[train] == kind] for kind in range(10)]
    embed = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 8)
    )
    criterion = nn.TripletMarginLoss(margin=0.5, reduction="none")
    optimizer = torch.optim.Adam(embed.parameters(), lr=0.005)
    at_zero = []
    for _ in range(250):
        kinds = torch.stack([torch.randperm(10)[:2] for _ in range(32)])
        anchor, positive, negative = (
            torch.stack([rows_of[k][torch.randint(len(rows_of[k]), ())] for k in chosen.tolist()])
            for chosen in (kinds[:, 0], kinds[:, 0], kinds[:, 1])
        )
        of_each = criterion(embed(X[anchor]), embed(X[positive]), embed(X[negative]))
        loss = of_each.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        at_zero.append((of_each == 0).float().mean().item())
    with torch.no_grad():
        nearest = torch.cdist(embed(X[test]), embed(X[train])).argmin(1)
    return {
        "accuracy of the nearest neighbor": (y[train][nearest] == y[test]).float().mean().item(),
        "share of triplets at zero": sum(at_zero[-20:]) / 20,
    }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy of the nearest neighbor"] > 0.8
