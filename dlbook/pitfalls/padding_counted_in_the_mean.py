"""Padding is counted in the mean over a sequence.

Symptom: the prediction for a short sequence changes when it is padded further, as it is when its
batch holds a longer one; a mean that could be learned exactly is not.

Cause: the padding adds zeros to the sum and ones to the count. The shorter a sequence, the more its
mean is diluted, and the length of the longest in the batch decides by how much.

Cure: divide by the number of tokens.

Met: wherever sequences are padded to a common length and then averaged.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "padding-read-as-data"


def broken(seed: int) -> Measured:
    def predict(bags: torch.Tensor) -> torch.Tensor:
        vectors = embedding(bags)
        means = vectors.mean(1)
        predictions: torch.Tensor = head(means)
        return predictions

    torch.manual_seed(seed)
    worth = torch.randn(40)
    bags = torch.randint(1, 40, (1000, 20))
    lengths = torch.randint(1, 21, (1000, 1))
    present = torch.arange(20) < lengths
    bags = bags * present
    Y = (worth[bags] * present).sum(1, keepdim=True) / lengths
    embedding, head = nn.Embedding(40, 8, padding_idx=0), nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*embedding.parameters(), *head.parameters()], lr=0.02)
    for _ in range(10):
        for rows in torch.randperm(800).split(50):
            loss = nn.functional.mse_loss(predict(bags[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        predictions = predict(bags[800:])
        padded = predict(nn.functional.pad(bags[800:], (0, 20)))
    error = nn.functional.mse_loss(predictions, Y[800:]) / Y[800:].var()
    shift = (padded - predictions).abs().mean() / Y[800:].std()
    return {"unexplained": error.item(), "shift": shift.item()}


def mended(seed: int) -> Measured:
    def predict(bags: torch.Tensor) -> torch.Tensor:
        vectors = embedding(bags)
        means = vectors.sum(1) / (bags > 0).sum(1, keepdim=True)
        predictions: torch.Tensor = head(means)
        return predictions

    torch.manual_seed(seed)
    worth = torch.randn(40)
    bags = torch.randint(1, 40, (1000, 20))
    lengths = torch.randint(1, 21, (1000, 1))
    present = torch.arange(20) < lengths
    bags = bags * present
    Y = (worth[bags] * present).sum(1, keepdim=True) / lengths
    embedding, head = nn.Embedding(40, 8, padding_idx=0), nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*embedding.parameters(), *head.parameters()], lr=0.02)
    for _ in range(10):
        for rows in torch.randperm(800).split(50):
            loss = nn.functional.mse_loss(predict(bags[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        predictions = predict(bags[800:])
        padded = predict(nn.functional.pad(bags[800:], (0, 20)))
    error = nn.functional.mse_loss(predictions, Y[800:]) / Y[800:].var()
    shift = (padded - predictions).abs().mean() / Y[800:].std()
    return {"unexplained": error.item(), "shift": shift.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["shift"] > 0.05 and outcome.measured["unexplained"] > 0.15
