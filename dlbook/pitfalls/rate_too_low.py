"""The learning rate is too low.

Symptom: the loss falls, but so slowly that after all epochs the network is about where it
began.

Cause: AdamW changes a weight by about the rate in each step. 200 steps of 0.00001 move it by 0.002
at most, where weights must move by some tenths.

Cure: multiply the rate by ten until the loss falls in the first epochs.

Met: where the rate is one for fine-tuning a large network and the network is new and small.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "rate-too-low"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    tokens = torch.randint(0, 12, (1000, 9))
    labels = (tokens == 3).sum(1).clamp(max=2)
    loader = DataLoader(TensorDataset(tokens[:800], labels[:800]), batch_size=40, shuffle=True)
    embedding, layer = nn.Embedding(12, 16), nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.Sequential(embedding, layer, nn.Flatten(), nn.Linear(9 * 16, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.00001)
    losses = []
    for _ in range(10):
        model.train()
        total = 0.0
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total / len(loader))
    model.eval()
    with torch.no_grad():
        accuracy = (model(tokens[800:]).argmax(1) == labels[800:]).float().mean().item()
    return {"fell by": 1 - losses[-1] / losses[0], "accuracy": accuracy}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    tokens = torch.randint(0, 12, (1000, 9))
    labels = (tokens == 3).sum(1).clamp(max=2)
    loader = DataLoader(TensorDataset(tokens[:800], labels[:800]), batch_size=40, shuffle=True)
    embedding, layer = nn.Embedding(12, 16), nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.Sequential(embedding, layer, nn.Flatten(), nn.Linear(9 * 16, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    losses = []
    for _ in range(10):
        model.train()
        total = 0.0
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total / len(loader))
    model.eval()
    with torch.no_grad():
        accuracy = (model(tokens[800:]).argmax(1) == labels[800:]).float().mean().item()
    return {"fell by": 1 - losses[-1] / losses[0], "accuracy": accuracy}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["fell by"] < 0.3 and outcome.measured["accuracy"] < 0.7
