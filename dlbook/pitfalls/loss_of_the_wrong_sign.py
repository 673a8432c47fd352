"""The logarithm of the likelihood is made small instead of large.

Symptom: the loss starts below zero and falls without end, and the digits are named no better than
by guessing.

Cause: ``log_prob`` is the larger, the better the model. Descent on it makes what was seen as
improbable as it can, and nothing bounds it below.

Cure: descend on its negative.

Met: where a loss is written from a formula for the likelihood, a reward or a score, all of which
are to be made large, while optimizers make small.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.distributions import Categorical

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "loss-of-the-wrong-sign"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(nn.Dropout(0.1), nn.Linear(64, 40), nn.SiLU(), nn.Linear(40, 10))
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.03)
    for _ in range(6):
        model.train()
        for rows in torch.randperm(1400).split(20):
            optimizer.zero_grad()
            loss = Categorical(logits=model(X[rows])).log_prob(y[rows]).mean()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        answers = model(X[1400:]).argmax(1)
    return {"loss": loss.item(), "accuracy": (answers == y[1400:]).float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(nn.Dropout(0.1), nn.Linear(64, 40), nn.SiLU(), nn.Linear(40, 10))
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.03)
    for _ in range(6):
        model.train()
        for rows in torch.randperm(1400).split(20):
            optimizer.zero_grad()
            loss = -Categorical(logits=model(X[rows])).log_prob(y[rows]).mean()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        answers = model(X[1400:]).argmax(1)
    return {"loss": loss.item(), "accuracy": (answers == y[1400:]).float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss"] < -100 and outcome.measured["accuracy"] < 0.2
