"""Sequences are sorted by length, so that none of them needs padding.

Suspicious: each batch holds sequences of one length only, and batches differ in size and shape.

Right: length says nothing of the label here, the order of the batches is drawn anew in each epoch,
and so is what each of them holds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


class Reader(nn.Module):
    """Tells whether a sequence of letters is richer in vowels than in the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(26, 8)
        self.recur = nn.GRU(8, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, letters: Tensor) -> Tensor:
        """Return logits of shape (n, 2)."""
        _, state = self.recur(self.embed(letters))
        logits: Tensor = self.head(state[-1])
        return logits


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    vowels = torch.tensor([0, 4, 8, 14, 20])
    groups = []
    for length in (5, 7, 9, 11):
        letters = torch.randint(26, (200, length))
        some = vowels[torch.randint(5, (200, length))]
        letters = torch.where(torch.rand(200, length) < 0.4, some, letters)
        groups.append((letters, (2 * torch.isin(letters, vowels).sum(1) > length).long()))
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(12):
        batches = [
            (group, rows) for group in range(len(groups)) for rows in torch.randperm(160).split(25)
        ]
        for number in torch.randperm(len(batches)).tolist():
            group, rows = batches[number]
            letters, y = groups[group]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(letters[rows]), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        right = torch.cat([model(letters[160:]).argmax(1) == y[160:] for letters, y in groups])
    return {"accuracy": right.float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.75
