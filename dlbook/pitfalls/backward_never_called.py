"""``backward`` is never called.

Symptom: the loss in validation is the same number after every epoch, and nothing raises.

Cause: computing a loss makes no gradient. Without ``backward`` every ``grad`` is None, and the
optimizer skips parameters that have none.

Cure: ``loss.backward()`` between the loss and the step.

Met: where a loop is put together from an evaluation loop, and by those who come from frameworks
that find the gradients within the step.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "backward-never-called"


class Reader(nn.Module):
    """Tells from the words of a text which of two topics it has."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(200, 16)
        self.topic = nn.Linear(16, 1)

    def forward(self, texts: torch.Tensor) -> torch.Tensor:
        """Return a logit for each text."""
        logits: torch.Tensor = self.topic(self.words(texts))
        return logits[:, 0]


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    topics = torch.randint(2, (600,)).float()
    texts = torch.randint(200, (600, 12))
    texts[:, :6] = texts[:, :6] % 100 + 100 * topics.long()[:, None]
    model = Reader()
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
    validation = []
    for _ in range(6):
        total = 0.0
        for rows in torch.randperm(500).split(20):
            optimizer.zero_grad()
            loss = criterion(model(texts[rows]), topics[rows])
            optimizer.step()
            total += loss.item()
        with torch.no_grad():
            validation.append(criterion(model(texts[500:]), topics[500:]).item())
    return {
        "last loss in training": total / 25,
        "different losses": len(set(validation)),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    topics = torch.randint(2, (600,)).float()
    texts = torch.randint(200, (600, 12))
    texts[:, :6] = texts[:, :6] % 100 + 100 * topics.long()[:, None]
    model = Reader()
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
    validation = []
    for _ in range(6):
        total = 0.0
        for rows in torch.randperm(500).split(20):
            optimizer.zero_grad()
            loss = criterion(model(texts[rows]), topics[rows])
            loss.backward()
            optimizer.step()
            total += loss.item()
        with torch.no_grad():
            validation.append(criterion(model(texts[500:]), topics[500:]).item())
    return {
        "last loss in training": total / 25,
        "different losses": len(set(validation)),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["different losses"] == 1
