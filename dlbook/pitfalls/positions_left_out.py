"""Attention is not told where a token stands.

Symptom: sequences that differ in their order alone get the same prediction, and accuracy stays at
that of a guess.

Cause: attention is a weighted mean, and a mean does not depend on the order. What stands where
reaches the network only as part of the vectors.

Cure: add a vector for each position.

Met: in transformers put together from the layers of a framework, which leave positions to the user.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "positions-left-out"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    sequences = torch.randn(500, 10).cumsum(1)
    sequences = sequences - sequences.mean(1, keepdim=True)
    y = torch.arange(500) % 2
    rising = sequences[:, -1] > sequences[:, 0]
    X = torch.where((rising == (y == 1))[:, None], sequences, sequences.flip(1))[:, :, None]
    embed, head = nn.Linear(1, 16), nn.Linear(16, 2)
    block = nn.TransformerEncoderLayer(16, 2, dim_feedforward=32, dropout=0.0, batch_first=True)
    places = nn.Parameter(torch.randn(10, 16))
    layers = nn.ModuleList([embed, block, head])
    optimizer = torch.optim.Adam([places, *layers.parameters()], lr=0.005)

    def predict(X: torch.Tensor) -> torch.Tensor:
        vectors = embed(X)
        logits: torch.Tensor = head(block(vectors).mean(1))
        return logits

    for _ in range(12):
        for rows in torch.randperm(400).split(40):
            loss = nn.functional.cross_entropy(predict(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits, backward = predict(X[400:]), predict(X[400:].flip(1))
    return {
        "accuracy": (logits.argmax(1) == y[400:]).float().mean().item(),
        "change_by_reversing": (logits - backward).abs().max().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    sequences = torch.randn(500, 10).cumsum(1)
    sequences = sequences - sequences.mean(1, keepdim=True)
    y = torch.arange(500) % 2
    rising = sequences[:, -1] > sequences[:, 0]
    X = torch.where((rising == (y == 1))[:, None], sequences, sequences.flip(1))[:, :, None]
    embed, head = nn.Linear(1, 16), nn.Linear(16, 2)
    block = nn.TransformerEncoderLayer(16, 2, dim_feedforward=32, dropout=0.0, batch_first=True)
    places = nn.Parameter(torch.randn(10, 16))
    layers = nn.ModuleList([embed, block, head])
    optimizer = torch.optim.Adam([places, *layers.parameters()], lr=0.005)

    def predict(X: torch.Tensor) -> torch.Tensor:
        vectors = embed(X) + places
        logits: torch.Tensor = head(block(vectors).mean(1))
        return logits

    for _ in range(12):
        for rows in torch.randperm(400).split(40):
            loss = nn.functional.cross_entropy(predict(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits, backward = predict(X[400:]), predict(X[400:].flip(1))
    return {
        "accuracy": (logits.argmax(1) == y[400:]).float().mean().item(),
        "change_by_reversing": (logits - backward).abs().max().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.65 and outcome.measured["change_by_reversing"] < 1e-3
