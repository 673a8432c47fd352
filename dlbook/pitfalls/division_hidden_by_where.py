"""A division by zero is hidden by ``where``.

Symptom: all predictions are numbers at first, and yet the weights are NaN after the first step.

Cause: ``where`` computes both branches and then picks. To the branch that was not picked it passes
a gradient of zero, which the division divides by a count of zero: NaN.

Cure: make the divisor harmless before the division, not the result afterwards.

Met: where means over bags that may be empty, logarithms or roots are protected by ``where`` or by a
mask.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "nan-gradient"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    bags = torch.randint(1, 40, (600, 12))
    lengths = torch.randint(0, 13, (600, 1))
    bags[torch.arange(12) >= lengths] = 0
    worth = torch.where(torch.arange(40) % 2 == 0, 1.0, -1.0)
    present = (bags > 0).float()
    y = ((worth[bags] * present).sum(1) > 0).float()
    embedding, head = nn.Embedding(40, 8), nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*embedding.parameters(), *head.parameters()], lr=0.02)
    losses = []
    for _ in range(100):
        counts = present.sum(1, keepdim=True)
        sums = (embedding(bags) * present[:, :, None]).sum(1)
        means = torch.where(counts > 0, sums / counts, 0.0)
        logits = head(means).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"first_loss": losses[0], "last_loss": losses[-1]}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    bags = torch.randint(1, 40, (600, 12))
    lengths = torch.randint(0, 13, (600, 1))
    bags[torch.arange(12) >= lengths] = 0
    worth = torch.where(torch.arange(40) % 2 == 0, 1.0, -1.0)
    present = (bags > 0).float()
    y = ((worth[bags] * present).sum(1) > 0).float()
    embedding, head = nn.Embedding(40, 8), nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*embedding.parameters(), *head.parameters()], lr=0.02)
    losses = []
    for _ in range(100):
        counts = present.sum(1, keepdim=True).clamp(min=1)
        sums = (embedding(bags) * present[:, :, None]).sum(1)
        means = torch.where(counts > 0, sums / counts, 0.0)
        logits = head(means).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"first_loss": losses[0], "last_loss": losses[-1]}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["first_loss"] > 0 and math.isnan(outcome.measured["last_loss"])
