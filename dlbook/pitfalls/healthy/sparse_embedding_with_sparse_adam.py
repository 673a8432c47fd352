"""The table of an embedding is trained apart, with gradients that hold a few rows only.

Suspicious: the gradient of the largest parameter is sparse, most of its rows stay as they are in
each step, and two optimizers step after one backward pass.

Right: only rows that a batch names have a gradient. Its optimizer changes these and leaves the
means of the others alone; the rest of the network has an optimizer for dense gradients.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    people, films = 300, 200
    taste, style = torch.randn(people, 2), torch.randn(films, 2)
    who, what = torch.randint(people, (12000,)), torch.randint(films, (12000,))
    liked = ((taste[who] * style[what]).sum(1) > 0).float()

    table = nn.Embedding(people + films, 8, sparse=True)
    head = nn.Sequential(nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
    sparse = torch.optim.SparseAdam(table.parameters(), lr=0.02)
    dense = torch.optim.Adam(head.parameters(), lr=0.01)

    def score(rows: torch.Tensor) -> torch.Tensor:
        A, B = table(who[rows]), table(people + what[rows])
        logits: torch.Tensor = head(torch.cat([A, B, A * B], dim=1))
        return logits

    for _ in range(6):
        for rows in torch.randperm(10000).split(100):
            loss = nn.functional.binary_cross_entropy_with_logits(score(rows), liked[rows])
            sparse.zero_grad()
            dense.zero_grad()
            loss.backward()
            sparse.step()
            dense.step()
    test = torch.arange(10000, 12000)
    with torch.no_grad():
        return {"accuracy": ((score(test) > 0) == (liked[test] > 0)).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.75
