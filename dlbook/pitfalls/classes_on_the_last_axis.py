"""Cross-entropy is given the classes on the last axis.

Symptom: the first loss raises a RuntimeError about the size of the target.

Cause: cross-entropy takes axis 1 for the classes, and what comes after it for places. Logits of
shape (n, length, classes) it reads as ``length`` classes at as many places as there are classes.
Where both numbers are equal nothing raises, and the loss is of the wrong things.

Cure: bring the classes to axis 1, ``logits.transpose(1, 2)``, or join batch and places into one
axis.

Met: with recurrent networks and transformers, which keep the features on the last axis.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "classes-on-the-last-axis"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = torch.randint(0, 10, (500, 2, 8))
    total = (digits * 10 ** torch.arange(8)).sum(2).sum(1, keepdim=True)
    sums = total // 10 ** torch.arange(8) % 10  # the lowest digit first
    inputs = nn.functional.one_hot(digits, 10).float().sum(1)
    gru, head = nn.GRU(10, 64, batch_first=True), nn.Linear(64, 10)
    optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], lr=0.02)
    for _ in range(12):
        for rows in torch.randperm(400).split(20):
            logits = head(gru(inputs[rows])[0])
            loss = nn.functional.cross_entropy(logits, sums[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    answers = head(gru(inputs[400:])[0]).argmax(2)
    return {"accuracy": (answers == sums[400:]).float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = torch.randint(0, 10, (500, 2, 8))
    total = (digits * 10 ** torch.arange(8)).sum(2).sum(1, keepdim=True)
    sums = total // 10 ** torch.arange(8) % 10  # the lowest digit first
    inputs = nn.functional.one_hot(digits, 10).float().sum(1)
    gru, head = nn.GRU(10, 64, batch_first=True), nn.Linear(64, 10)
    optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], lr=0.02)
    for _ in range(12):
        for rows in torch.randperm(400).split(20):
            logits = head(gru(inputs[rows])[0])
            loss = nn.functional.cross_entropy(logits.transpose(1, 2), sums[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    answers = head(gru(inputs[400:])[0]).argmax(2)
    return {"accuracy": (answers == sums[400:]).float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.error.startswith("RuntimeError: Expected target size")
