"""The mask hides the tokens and shows the padding.

Symptom: the network learns nothing: it returns the same for every sequence.

Cause: in ``key_padding_mask`` true means that a position is left out. A mask that is true where
there are tokens leaves the padding alone, which is the same everywhere.

Cure: make it true where the padding is.

Met: where a mask comes from a tokenizer or a framework in which true, or 1, means that a position
is used.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "mask-of-the-wrong-sense"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    tokens = torch.randint(1, 20, (800, 13))
    lengths = torch.randint(3, 13, (800, 1))
    tokens[torch.arange(13) >= lengths] = 0
    y = (tokens == 7).any(1).long()
    mask = tokens != 0
    embedding = nn.Embedding(20, 16)
    attention = nn.MultiheadAttention(16, 2, batch_first=True)
    head = nn.Linear(16, 2)
    question = nn.Parameter(torch.randn(1, 1, 16))
    layers = nn.ModuleList([embedding, attention, head])
    optimizer = torch.optim.Adam([question, *layers.parameters()], lr=0.01)

    def predict(rows: torch.Tensor) -> torch.Tensor:
        vectors = embedding(tokens[rows])
        asked = question.expand(len(rows), 1, 16)
        answer, _ = attention(asked, vectors, vectors, key_padding_mask=mask[rows])
        logits: torch.Tensor = head(answer.squeeze(1))
        return logits

    for _ in range(10):
        for rows in torch.randperm(600).split(50):
            loss = nn.functional.cross_entropy(predict(rows), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    logits = predict(torch.arange(600, 800))
    accuracy = (logits.argmax(1) == y[600:]).float().mean()
    return {"accuracy": accuracy.item(), "spread": (logits[:, 1] - logits[:, 0]).std().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    tokens = torch.randint(1, 20, (800, 13))
    lengths = torch.randint(3, 13, (800, 1))
    tokens[torch.arange(13) >= lengths] = 0
    y = (tokens == 7).any(1).long()
    mask = tokens == 0
    embedding = nn.Embedding(20, 16)
    attention = nn.MultiheadAttention(16, 2, batch_first=True)
    head = nn.Linear(16, 2)
    question = nn.Parameter(torch.randn(1, 1, 16))
    layers = nn.ModuleList([embedding, attention, head])
    optimizer = torch.optim.Adam([question, *layers.parameters()], lr=0.01)

    def predict(rows: torch.Tensor) -> torch.Tensor:
        vectors = embedding(tokens[rows])
        asked = question.expand(len(rows), 1, 16)
        answer, _ = attention(asked, vectors, vectors, key_padding_mask=mask[rows])
        logits: torch.Tensor = head(answer.squeeze(1))
        return logits

    for _ in range(10):
        for rows in torch.randperm(600).split(50):
            loss = nn.functional.cross_entropy(predict(rows), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    logits = predict(torch.arange(600, 800))
    accuracy = (logits.argmax(1) == y[600:]).float().mean()
    return {"accuracy": accuracy.item(), "spread": (logits[:, 1] - logits[:, 0]).std().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["spread"] < 1e-3
