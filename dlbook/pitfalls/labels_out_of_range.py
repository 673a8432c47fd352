"""Classes are counted from 1.

Symptom: the first loss raises an IndexError: target 3 is out of bounds. On a GPU the same
mistake ends the program with a device-side assertion, often reported at a later line.

Cause: cross-entropy takes a label as the position of its logit. Among three logits these are
0, 1 and 2; there is none at 3.

Cure: subtract 1 from the labels.

Met: with files that count their classes from 1, and where a class was added to the data but
not to the network.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "labels-out-of-range"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    labels = torch.randint(1, 4, (300,))  # as the file has them: 1 falling, 2 level, 3 rising
    slopes = (labels - 2)[:, None] * torch.linspace(0, 1, 20)
    X = (slopes + 0.3 * torch.randn(300, 20))[..., None]
    y = labels
    recurrent, head = nn.GRU(1, 16, batch_first=True), nn.Linear(16, 3)
    optimizer = torch.optim.Adam([*recurrent.parameters(), *head.parameters()], lr=0.02)
    for _ in range(40):
        states, _ = recurrent(X[:200])
        loss = nn.functional.cross_entropy(head(states[:, -1]), y[:200])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    states, _ = recurrent(X[200:])
    accuracy = (head(states[:, -1]).argmax(1) == y[200:]).float().mean()
    return {"accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    labels = torch.randint(1, 4, (300,))  # as the file has them: 1 falling, 2 level, 3 rising
    slopes = (labels - 2)[:, None] * torch.linspace(0, 1, 20)
    X = (slopes + 0.3 * torch.randn(300, 20))[..., None]
    y = labels - 1
    recurrent, head = nn.GRU(1, 16, batch_first=True), nn.Linear(16, 3)
    optimizer = torch.optim.Adam([*recurrent.parameters(), *head.parameters()], lr=0.02)
    for _ in range(40):
        states, _ = recurrent(X[:200])
        loss = nn.functional.cross_entropy(head(states[:, -1]), y[:200])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    states, _ = recurrent(X[200:])
    accuracy = (head(states[:, -1]).argmax(1) == y[200:]).float().mean()
    return {"accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return "out of bounds" in outcome.error
