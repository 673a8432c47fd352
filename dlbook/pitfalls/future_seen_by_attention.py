"""Attention sees the token that it is to predict.

Symptom: the loss falls far below ln 2, the entropy of a source that chooses each token among two,
which no prediction from the past can do. In use, where the next token does not exist yet, it is
many times as high.

Cause: the target of each position is the token of the next one, and without a causal mask every
position attends to that next one too. Copying is all there is to learn.

Cure: a causal mask.

Met: where an encoder, made to read whole texts, is turned into a language model.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "future-seen-by-attention"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    states = torch.randint(8, (1, 400))
    for _ in range(12):
        follower = (2 * states[-1] + torch.randint(2, (400,))) % 8
        states = torch.cat([states, follower[None]])
    tokens, following = states[:-1].T, states[1:].T
    embedding = nn.Embedding(8, 32)
    places = nn.Parameter(torch.randn(12, 32))
    attention = nn.MultiheadAttention(32, 2, batch_first=True)
    head = nn.Linear(64, 8)
    layers = nn.ModuleList([embedding, attention, head])
    optimizer = torch.optim.Adam([places, *layers.parameters()], lr=0.01)
    hidden = torch.zeros(12, 12, dtype=torch.bool)
    for _ in range(25):
        for rows in torch.randperm(400).split(50):
            vectors = embedding(tokens[rows]) + places
            context, _ = attention(vectors, vectors, vectors, attn_mask=hidden)
            logits = head(torch.cat([vectors, context], dim=2))
            loss = functional.cross_entropy(logits.flatten(0, 1), following[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        vectors = embedding(tokens[:, :6]) + places[:6]
        context, _ = attention(vectors, vectors, vectors, attn_mask=hidden[:6, :6])
        logits = head(torch.cat([vectors, context], dim=2))[:, -1]
        unseen = functional.cross_entropy(logits, following[:, 5])
    return {"training_loss": loss.item(), "loss_in_use": unseen.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    states = torch.randint(8, (1, 400))
    for _ in range(12):
        follower = (2 * states[-1] + torch.randint(2, (400,))) % 8
        states = torch.cat([states, follower[None]])
    tokens, following = states[:-1].T, states[1:].T
    embedding = nn.Embedding(8, 32)
    places = nn.Parameter(torch.randn(12, 32))
    attention = nn.MultiheadAttention(32, 2, batch_first=True)
    head = nn.Linear(64, 8)
    layers = nn.ModuleList([embedding, attention, head])
    optimizer = torch.optim.Adam([places, *layers.parameters()], lr=0.01)
    hidden = torch.ones(12, 12, dtype=torch.bool).triu(1)
    for _ in range(25):
        for rows in torch.randperm(400).split(50):
            vectors = embedding(tokens[rows]) + places
            context, _ = attention(vectors, vectors, vectors, attn_mask=hidden)
            logits = head(torch.cat([vectors, context], dim=2))
            loss = functional.cross_entropy(logits.flatten(0, 1), following[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        vectors = embedding(tokens[:, :6]) + places[:6]
        context, _ = attention(vectors, vectors, vectors, attn_mask=hidden[:6, :6])
        logits = head(torch.cat([vectors, context], dim=2))[:, -1]
        unseen = functional.cross_entropy(logits, following[:, 5])
    return {"training_loss": loss.item(), "loss_in_use": unseen.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["training_loss"] < 0.3 and outcome.measured["loss_in_use"] > 1
