"""The loss counts places that only fill up the batch.

Symptom: the loss is small, and a large share of the real places is marked wrongly all the same.

Cause: most of the sequences are short, and four of five places are filling. To mark filling as
filling is learned at once and makes up most of the mean; what is wrong at the real places is
divided by all of them, so that the loss looks small and its gradients are.

Cure: leave those places out, with ``ignore_index``.

Met: where sequences of different lengths share a batch and the filling has a class of its own.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "padding-counted"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    lengths = torch.randint(2, 8, (600,))
    lengths[::20] = 30
    real = torch.arange(30) < lengths[:, None]
    tokens = torch.randint(1, 11, (600, 30)) * real
    before = torch.cat([torch.zeros(600, 1, dtype=torch.long), tokens[:, :-1]], 1)
    tags = (1 + (tokens + before) % 5) * real
    embedding, gru, head = nn.Embedding(11, 12), nn.GRU(12, 32, batch_first=True), nn.Linear(32, 6)
    model = nn.ModuleList([embedding, gru, head])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    for _ in range(5):
        for rows in torch.randperm(500).split(25):
            logits = head(gru(embedding(tokens[rows]))[0])
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), tags[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    answers = head(gru(embedding(tokens[500:]))[0]).argmax(2)
    right = (answers == tags[500:])[real[500:]].float().mean()
    return {"loss": loss.item(), "accuracy": right.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    lengths = torch.randint(2, 8, (600,))
    lengths[::20] = 30
    real = torch.arange(30) < lengths[:, None]
    tokens = torch.randint(1, 11, (600, 30)) * real
    before = torch.cat([torch.zeros(600, 1, dtype=torch.long), tokens[:, :-1]], 1)
    tags = (1 + (tokens + before) % 5) * real
    embedding, gru, head = nn.Embedding(11, 12), nn.GRU(12, 32, batch_first=True), nn.Linear(32, 6)
    model = nn.ModuleList([embedding, gru, head])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    for _ in range(5):
        for rows in torch.randperm(500).split(25):
            logits = head(gru(embedding(tokens[rows]))[0])
            loss = nn.functional.cross_entropy(
                logits.flatten(0, 1), tags[rows].flatten(), ignore_index=0
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    answers = head(gru(embedding(tokens[500:]))[0]).argmax(2)
    right = (answers == tags[500:])[real[500:]].float().mean()
    return {"loss": loss.item(), "accuracy": right.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss"] < 0.6 and outcome.measured["accuracy"] < 0.6
