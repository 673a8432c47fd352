"""A language model is asked for the token that it has just read.

Symptom: the loss falls to almost 0, far below what the text allows; asked for the next token,
the model repeats the last.

Cause: inputs and targets are the same slice. To name the token that stands in the input is
easy, and nothing has to be learned of what follows it.

Cure: let the targets be the text from its second token on.

Met: in models of text and of time series, where a function shifts the targets by itself in one
library and leaves it to the caller in another.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "targets-are-the-inputs"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    text = torch.randint(12, (200, 1))  # each token follows from the one before it, 4 times in 5
    for _ in range(24):
        follows = (5 * text[:, -1:] + 1) % 12
        drawn = torch.rand(200, 1) < 0.2
        text = torch.cat([text, follows.where(~drawn, torch.randint(12, (200, 1)))], dim=1)
    inputs, targets = text[:, :-1], text[:, :-1]
    embed, recurrent = nn.Embedding(12, 16), nn.LSTM(16, 32, batch_first=True)
    head = nn.Linear(32, 12)
    model = nn.ModuleList([embed, recurrent, head])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(8):
        for rows in torch.randperm(150).split(15):
            logits = head(recurrent(embed(inputs[rows]))[0])
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        answers = head(recurrent(embed(text[150:, :-1]))[0]).argmax(-1)
    return {
        "last loss": loss.item(),
        "next token right": (answers == text[150:, 1:]).float().mean().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    text = torch.randint(12, (200, 1))  # each token follows from the one before it, 4 times in 5
    for _ in range(24):
        follows = (5 * text[:, -1:] + 1) % 12
        drawn = torch.rand(200, 1) < 0.2
        text = torch.cat([text, follows.where(~drawn, torch.randint(12, (200, 1)))], dim=1)
    inputs, targets = text[:, :-1], text[:, 1:]
    embed, recurrent = nn.Embedding(12, 16), nn.LSTM(16, 32, batch_first=True)
    head = nn.Linear(32, 12)
    model = nn.ModuleList([embed, recurrent, head])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(8):
        for rows in torch.randperm(150).split(15):
            logits = head(recurrent(embed(inputs[rows]))[0])
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        answers = head(recurrent(embed(text[150:, :-1]))[0]).argmax(-1)
    return {
        "last loss": loss.item(),
        "next token right": (answers == text[150:, 1:]).float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["last loss"] < 0.3 and outcome.measured["next token right"] < 0.4
