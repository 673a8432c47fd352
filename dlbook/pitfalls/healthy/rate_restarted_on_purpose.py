"""The rate falls to almost nothing and starts anew, several times.

Suspicious: the rate jumps up by a factor of a hundred in the middle of training, and the loss with
it.

Right: each restart leaves the neighborhood of one minimum and looks for another. What counts is the
end of a cycle, and the program ends with one.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_moons
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, labels = make_moons(900, noise=0.2, random_state=seed)
    X, y = torch.tensor(points, dtype=torch.float32), torch.tensor(labels)
    train, val = torch.randperm(900).split(600)
    hidden = [nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU()]
    model = nn.Sequential(*hidden, nn.Linear(24, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    schedule = CosineAnnealingWarmRestarts(optimizer, T_0=5, T_mult=2, eta_min=0.002)
    history = []
    for _ in range(35):  # cycles of 5, 10 and 20 epochs
        model.train()
        for rows in train[torch.randperm(600)].split(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            history.append((model(X[val]).argmax(1) == y[val]).float().mean().item())
    return {"validation accuracy": history[-1]}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["validation accuracy"] > 0.9
