"""Two views of each record find each other among those of all others in the batch.

Suspicious: the labels are 0, 1, 2, …, the same in each batch, and softmax goes over the batch, in
one direction and then in the other.

Right: row i of the logits compares one view of record i with the other views of all records, and
the right one stands in column i. The classes are the records of the batch.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images = torch.tensor(load_digits().images / 16, dtype=torch.float32)
    train, test = images[:1400], images[1400:]
    loader = DataLoader(TensorDataset(train), batch_size=64, shuffle=True, drop_last=True)
    upper = nn.Sequential(nn.Flatten(), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 16))
    lower = nn.Sequential(nn.Flatten(), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 16))
    log_scale = nn.Parameter(torch.tensor(2.0))
    optimizer = torch.optim.Adam([*upper.parameters(), *lower.parameters(), log_scale], lr=0.003)

    def similarities(batch: torch.Tensor) -> torch.Tensor:
        A = nn.functional.normalize(upper(batch[:, :4]), dim=1)
        B = nn.functional.normalize(lower(batch[:, 4:]), dim=1)
        return A @ B.T

    for _ in range(20):
        for (batch,) in loader:
            logits = log_scale.exp() * similarities(batch)
            labels = torch.arange(len(batch))
            loss = nn.functional.cross_entropy(logits, labels)
            loss = (loss + nn.functional.cross_entropy(logits.T, labels)) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        ranks = similarities(test).argsort(dim=1, descending=True)
    found = (ranks[:, :40] == torch.arange(len(test))[:, None]).any(1)
    return {"found in the first tenth": found.float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["found in the first tenth"] > 0.7
