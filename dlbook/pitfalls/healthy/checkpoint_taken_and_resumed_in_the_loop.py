"""Training is broken off and goes on in new objects from what was saved.

Suspicious: in the middle of training there are suddenly another network and another optimizer, and
weights are loaded over those that were there.

Right: the state of the network, of the optimizer with its means, and of the schedule is loaded
together, so that training goes on as if it had not been broken off.
"""

from __future__ import annotations

import io

import torch
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from dlbook.pitfalls.programs import Measured, Outcome


def build() -> tuple[nn.Module, torch.optim.Optimizer, CosineAnnealingLR]:
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    return model, optimizer, CosineAnnealingLR(optimizer, T_max=30)


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    X, y = torch.tensor(scale(inputs), dtype=torch.float32), torch.tensor(labels)
    train, test = torch.randperm(150).split([100, 50])
    model, optimizer, schedule = build()
    for epoch in range(30):
        for rows in train[torch.randperm(100)].split(20):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        if epoch == 14:
            file = io.BytesIO()
            torch.save([part.state_dict() for part in (model, optimizer, schedule)], file)
            file.seek(0)
            weights, means, progress = torch.load(file)
            model, optimizer, schedule = build()
            model.load_state_dict(weights)
            optimizer.load_state_dict(means)
            schedule.load_state_dict(progress)
    with torch.no_grad():
        accuracy = (model(X[test]).argmax(1) == y[test]).float().mean().item()
    return {"accuracy": accuracy, "last rate": schedule.get_last_lr()[0]}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85 and outcome.measured["last rate"] < 1e-6
