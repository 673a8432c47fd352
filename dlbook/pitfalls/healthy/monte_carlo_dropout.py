"""Dropout stays on at prediction, and the mean of many passes is used.

Suspicious: after ``model.eval()`` the dropout layers are set back to training mode, and the same
input gets another answer in each pass.

Right: batch normalization is in evaluation mode and dropout is meant to draw. The mean of the
passes is the prediction, and where they differ most the network is wrong most often.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, labels, test_size=600, random_state=seed)
    X, X_test = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    y, y_test = (torch.tensor(part) for part in parts[2:])
    model = nn.Sequential(
        nn.Linear(64, 100),
        nn.BatchNorm1d(100),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Linear(100, 50),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Linear(50, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    model.train()
    for _ in range(6):
        for rows in torch.randperm(len(X)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()

    model.eval()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    with torch.no_grad():
        passes = torch.stack([model(X_test).softmax(1) for _ in range(30)])
    sure, answer = passes.mean(0).max(1)
    right = (answer == y_test)[sure.argsort()].float()
    return {
        "accuracy": right.mean().item(),
        "accuracy of the least sure tenth": right[:60].mean().item(),
        "accuracy of the most sure half": right[300:].mean().item(),
    }


def fine(outcome: Outcome) -> bool:
    measured = outcome.measured
    unsure, sure = (
        measured[f"accuracy of the {which}"] for which in ("least sure tenth", "most sure half")
    )
    return measured["accuracy"] > 0.9 and unsure + 0.1 < sure
