"""The predicted class is looked for along the wrong axis.

Symptom: the loss falls to almost nothing, and the accuracy reported stays below a third.

Cause: the logits are of shape (batch, position, tag), and ``argmax(1)`` finds for each tag the
position at which it scores highest. There are as many positions as tags, so that the comparison
with the labels raises nothing.

Cure: ``argmax(-1)``, along the axis of the classes.

Met: with sequences and images, where a class axis is not the second as it is with plain rows, and
where the batch happens to be as large as the number of classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "accuracy-over-the-wrong-axis"


class Tagger(nn.Module):
    """Gives each position of a text one of six tags."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 16)
        self.gru = nn.GRU(16, 24, batch_first=True)
        self.head = nn.Linear(24, 6)

    def forward(self, texts: Tensor) -> Tensor:
        """Return a logit for each tag at each position."""
        logits: Tensor = self.head(self.gru(self.embedding(texts))[0])
        return logits


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    texts = torch.randint(30, (640, 6))
    tags = (texts + texts.roll(1, 1).index_fill(1, torch.tensor([0]), 0) % 2) % 6
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(8):
        for rows in torch.randperm(512).split(32):
            logits = model(texts[rows])
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), tags[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits = model(texts[512:])
        loss = nn.functional.cross_entropy(logits.mT, tags[512:])
        predicted = logits.argmax(1)
    accuracy = (predicted == tags[512:]).float().mean().item()
    return {"loss": loss.item(), "accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    texts = torch.randint(30, (640, 6))
    tags = (texts + texts.roll(1, 1).index_fill(1, torch.tensor([0]), 0) % 2) % 6
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(8):
        for rows in torch.randperm(512).split(32):
            logits = model(texts[rows])
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), tags[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits = model(texts[512:])
        loss = nn.functional.cross_entropy(logits.mT, tags[512:])
        predicted = logits.argmax(-1)
    accuracy = (predicted == tags[512:]).float().mean().item()
    return {"loss": loss.item(), "accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss"] < 0.5 and outcome.measured["accuracy"] < 0.35
