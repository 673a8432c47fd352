"""A table of ten thousand vectors, of which a few hundred are ever looked up.

Suspicious: nearly all rows of the embedding get a gradient of zero in each step, and most never
change.

Right: words are hashed into more rows than there are words, so that few of them share one. A row
that no text looks up takes no part in any prediction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome

ROWS = 10_000


class Texts(nn.Module):
    """Tells the topic of a text from the mean of its words."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(ROWS, 8, mode="mean")
        self.head = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits of shape (n, 3) for words of shape (n, 15)."""
        logits: Tensor = self.head(self.words(ids))
        return logits


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    topics = torch.randint(3, (900,))
    words = torch.randint(300, (900, 15))
    on_topic = torch.rand(900, 15) < 0.3
    words = torch.where(on_topic, words // 3 * 3 + topics[:, None], words)
    ids = words * 7919 % ROWS
    model = Texts()
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    for _ in range(20):
        for rows in torch.randperm(700).split(35):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(ids[rows]), topics[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        right = model(ids[700:]).argmax(1) == topics[700:]
    return {"accuracy": right.float().mean().item(), "rows used": float(len(ids.unique()))}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.6
