"""The state of a recurrent network is carried on together with its graph.

Symptom: the second batch ends with ``Trying to backward through the graph a second time``.

Cause: the state that the first stretch left was made by operations of that stretch, whose graph
``backward`` has used up and freed. The second stretch begins with that state, so that its backward
pass leads into the freed part.

Cure: ``detach`` the state between stretches.

Met: in language models and in forecasts, where a long sequence is learned in stretches.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "graph-used-twice"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    time = torch.arange(800) * 0.2
    series = torch.sin(time + 6 * torch.rand(4, 1)) + 0.05 * torch.randn(4, 800)
    gru = nn.GRU(1, 16, batch_first=True)
    head = nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], lr=0.01)
    losses = []
    for _ in range(4):
        state = torch.zeros(1, 4, 16)
        for start in range(0, 780, 20):
            past = series[:, start : start + 20, None]
            future = series[:, start + 1 : start + 21, None]
            states, state = gru(past, state)
            loss = nn.functional.mse_loss(head(states), future)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return {"first_loss": losses[0], "last_loss": losses[-1]}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    time = torch.arange(800) * 0.2
    series = torch.sin(time + 6 * torch.rand(4, 1)) + 0.05 * torch.randn(4, 800)
    gru = nn.GRU(1, 16, batch_first=True)
    head = nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], lr=0.01)
    losses = []
    for _ in range(4):
        state = torch.zeros(1, 4, 16)
        for start in range(0, 780, 20):
            past = series[:, start : start + 20, None]
            future = series[:, start + 1 : start + 21, None]
            states, state = gru(past, state.detach())
            loss = nn.functional.mse_loss(head(states), future)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return {"first_loss": losses[0], "last_loss": losses[-1]}


def shows(outcome: Outcome) -> bool:
    return "backward through the graph a second time" in outcome.error
