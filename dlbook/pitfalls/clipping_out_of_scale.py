"""Gradients are clipped to a norm far below their own.

Symptom: the loss barely moves from step to step, as with a rate much too low, and raising the rate
tenfold changes little.

Cause: a step of plain descent is as long as rate times gradient. Clipped to a norm of 0.001, each
is at most 0.0001 long, whatever the loss.

Cure: clip only what stands out: look at the norms that ``clip_grad_norm_`` returns, and put the
limit above the usual ones.

Met: where clipping is put in against exploding gradients with a limit that was meant for single
numbers, or typed as if it were a rate.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "clipping-out-of-scale"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    phases, paces = 6.28 * torch.rand(300, 1), 0.2 + 0.3 * torch.rand(300, 1)
    waves = torch.sin(phases + paces * torch.arange(21))
    X, Y = waves[:, :20, None], waves[:, 20:]
    rnn, head = nn.RNN(1, 24, batch_first=True), nn.Linear(24, 1)
    parameters = [*rnn.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.5)
    losses = []
    for _ in range(20):
        for rows in torch.randperm(200).split(20):
            _, state = rnn(X[rows])
            loss = nn.functional.mse_loss(head(state[0]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, max_norm=0.001)
            optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        _, state = rnn(X[200:])
        error = (head(state[0]) - Y[200:]).square().mean() / Y[200:].var()
    return {"explained": 1 - error.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    phases, paces = 6.28 * torch.rand(300, 1), 0.2 + 0.3 * torch.rand(300, 1)
    waves = torch.sin(phases + paces * torch.arange(21))
    X, Y = waves[:, :20, None], waves[:, 20:]
    rnn, head = nn.RNN(1, 24, batch_first=True), nn.Linear(24, 1)
    parameters = [*rnn.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.5)
    losses = []
    for _ in range(20):
        for rows in torch.randperm(200).split(20):
            _, state = rnn(X[rows])
            loss = nn.functional.mse_loss(head(state[0]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, max_norm=1.0)
            optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        _, state = rnn(X[200:])
        error = (head(state[0]) - Y[200:]).square().mean() / Y[200:].var()
    return {"explained": 1 - error.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["explained"] < 0.3
