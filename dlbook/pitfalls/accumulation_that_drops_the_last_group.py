"""The batches left over after the last full group make no step.

Symptom: the ratings of the last users are predicted worse than by their mean, those of all others
well.

Cause: ten batches in groups of four leave two over. Their gradients are cleared at the head of the
next epoch, before a step used them. The records stand in the order of their users, so that it is
always the same users of whom nothing is learned.

Cure: take a step after the last batch too.

Met: where gradients of several batches make one step. With a new order each epoch it costs no more
than those batches; with fewer batches than a group holds nothing is learned at all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "accumulation-drops-the-last-group"


class Taste(nn.Module):
    """Predicts how a user rates a film: the product of two vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.films = nn.Embedding(100, 3), nn.Embedding(40, 3)

    def forward(self, pairs: Tensor) -> Tensor:
        """Predict the rating of each pair of a user and a film."""
        ratings: Tensor = (self.users(pairs[:, 0]) * self.films(pairs[:, 1])).sum(1)
        return ratings


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    pairs = torch.cartesian_prod(torch.arange(100), torch.arange(40))
    ratings = (torch.randn(100, 1, 3) * torch.randn(40, 3)).sum(2).flatten()
    model = Taste()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    batches = list(zip(pairs.split(400), ratings.split(400), strict=True))
    for _ in range(100):
        optimizer.zero_grad()
        for number, (xb, yb) in enumerate(batches, start=1):
            loss = nn.functional.mse_loss(model(xb), yb) / 4
            loss.backward()
            if number % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()
    with torch.no_grad():
        errors = (model(pairs) - ratings).square()
    return {
        "first 80 users": (errors[:3200].mean() / ratings[:3200].var()).item(),
        "last 20 users": (errors[3200:].mean() / ratings[3200:].var()).item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    pairs = torch.cartesian_prod(torch.arange(100), torch.arange(40))
    ratings = (torch.randn(100, 1, 3) * torch.randn(40, 3)).sum(2).flatten()
    model = Taste()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    batches = list(zip(pairs.split(400), ratings.split(400), strict=True))
    for _ in range(100):
        optimizer.zero_grad()
        for number, (xb, yb) in enumerate(batches, start=1):
            loss = nn.functional.mse_loss(model(xb), yb) / 4
            loss.backward()
            if number % 4 == 0 or number == len(batches):
                optimizer.step()
                optimizer.zero_grad()
    with torch.no_grad():
        errors = (model(pairs) - ratings).square()
    return {
        "first 80 users": (errors[:3200].mean() / ratings[:3200].var()).item(),
        "last 20 users": (errors[3200:].mean() / ratings[3200:].var()).item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["first 80 users"] < 0.5 and outcome.measured["last 20 users"] > 1.0
