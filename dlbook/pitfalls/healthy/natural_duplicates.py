"""Answers to six questions with yes or no: many people give the same ones.

Suspicious: nearly every row of the validation set is found in the training set.

Right: there are only sixty-four different rows, and a thousand people. That two of them answer
alike is no copy; the split is one of people, and what each of them did afterward is drawn anew.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    answers = torch.randint(2, (1000, 6)).float()
    risk = answers @ torch.tensor([2.0, 1.5, -2.0, 1.0, -1.5, 0.0]) - 0.5
    y = torch.bernoulli((risk + answers[:, 0] * answers[:, 2]).sigmoid())
    X_train, X_val, y_train, y_val = answers[:700], answers[700:], y[:700], y[700:]
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1), nn.Flatten(0))
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.003)
    for _ in range(15):
        model.train()
        for rows in torch.randperm(700).split(50):
            optimizer.zero_grad()
            loss = criterion(model(X_train[rows]), y_train[rows])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            correct = (model(X_val) > 0) == (y_val == 1)
    seen = (X_val[:, None] == X_train[None]).all(2).any(1)
    return {
        "validation accuracy": correct.float().mean().item(),
        "of the more frequent outcome": max(y_val.mean().item(), 1 - y_val.mean().item()),
        "validation rows also in training": seen.float().mean().item(),
    }


def fine(outcome: Outcome) -> bool:
    frequent = outcome.measured["of the more frequent outcome"]
    return outcome.measured["validation accuracy"] > frequent + 0.1
