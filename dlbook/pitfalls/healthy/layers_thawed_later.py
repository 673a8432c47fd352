"""A trained part stays frozen while a new head learns, and then learns with it.

Suspicious: for half of all steps the optimizer holds no parameter of the first layers, and these
get no gradient; later a group with another rate is added to it.

Right: a new head is wrong at random, and its first gradients would spoil what was learned before.
Once it fits, all layers learn, the old ones at a lower rate.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
    old_head = nn.Linear(32, 5)
    optimizer = torch.optim.Adam([*body.parameters(), *old_head.parameters()], lr=0.005)
    small = (y < 5).nonzero().squeeze(1)
    for _ in range(8):
        for rows in small[torch.randperm(len(small))].split(50):
            loss = nn.functional.cross_entropy(old_head(body(X[rows])), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    large = (y >= 5).nonzero().squeeze(1)
    train, test = large[torch.randperm(len(large))].split([200, len(large) - 200])
    model = nn.Sequential(body, nn.Linear(32, 5))
    body.requires_grad_(False)
    optimizer = torch.optim.Adam(model[1].parameters(), lr=0.01)
    accuracies = []
    for epoch in range(20):
        if epoch == 10:
            body.requires_grad_(True)
            optimizer.add_param_group({"params": body.parameters(), "lr": 0.002})
        for rows in train[torch.randperm(len(train))].split(20):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows] - 5)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            accuracies.append((model(X[test]).argmax(1) == y[test] - 5).float().mean().item())
    return {"accuracy with the body frozen": accuracies[9], "accuracy": accuracies[-1]}


def fine(outcome: Outcome) -> bool:
    frozen, thawed = outcome.measured["accuracy with the body frozen"], outcome.measured["accuracy"]
    return frozen + 0.1 < thawed and thawed > 0.8
