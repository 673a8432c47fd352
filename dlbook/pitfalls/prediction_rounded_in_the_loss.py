"""Predictions are rounded before they are compared.

Symptom: nothing raises, and the loss of the last epoch is that of the first to the last digit.

Cause: a step changes a prediction by little, and the rounded one not at all. The gradient of
``round`` is 0 everywhere, and all that flows back through it is 0. ``argmax`` and comparisons have
no gradient at all; with them ``backward`` raises.

Cure: compare what the network returns, and round where the answer is read.

Met: where the answer is a whole number, such as a count, a grade or a class, and the loss should
measure that answer.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "no-gradient-through-rounding"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    lengths = torch.randint(1, 13, (800,))
    pulses = (torch.rand(800, 12) < 0.4).float() * (torch.arange(12) < lengths[:, None])
    X, counts = pulses[..., None], pulses.sum(1)
    lstm, head = nn.LSTM(1, 16, batch_first=True), nn.Linear(16, 1)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    losses = []
    for _ in range(15):
        total = 0.0
        for rows in torch.arange(600).split(50):
            _, (state, _) = lstm(X[rows])
            predictions = head(state[-1]).flatten().round()
            loss = nn.functional.smooth_l1_loss(predictions, counts[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total)
    _, (state, _) = lstm(X[600:])
    right = head(state[-1]).flatten().round() == counts[600:]
    return {"fell by": losses[0] - losses[-1], "accuracy": right.float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    lengths = torch.randint(1, 13, (800,))
    pulses = (torch.rand(800, 12) < 0.4).float() * (torch.arange(12) < lengths[:, None])
    X, counts = pulses[..., None], pulses.sum(1)
    lstm, head = nn.LSTM(1, 16, batch_first=True), nn.Linear(16, 1)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    losses = []
    for _ in range(15):
        total = 0.0
        for rows in torch.arange(600).split(50):
            _, (state, _) = lstm(X[rows])
            predictions = head(state[-1]).flatten()
            loss = nn.functional.smooth_l1_loss(predictions, counts[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total)
    _, (state, _) = lstm(X[600:])
    right = head(state[-1]).flatten().round() == counts[600:]
    return {"fell by": losses[0] - losses[-1], "accuracy": right.float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["fell by"] == 0 and outcome.measured["accuracy"] < 0.5
