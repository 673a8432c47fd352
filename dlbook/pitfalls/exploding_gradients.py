"""Gradients grow on their way back through a long sequence.

Symptom: the loss of a recurrent network falls for a while, then leaps by orders of magnitude or
becomes NaN.

Cause: the way back through 64 steps multiplies by the same matrix 64 times. As soon as training
brings that matrix to stretch some direction, gradients along it grow exponentially, and one step
of that length throws the weights far away.

Cure: limit the norm of the gradient before each step.

Met: in recurrent networks with ReLU over long sequences.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "exploding-gradients"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.rand(320, 30, 1)
    Y = X.sum(1) - 15
    rnn = nn.RNN(1, 32, nonlinearity="relu", batch_first=True)
    _, recurrent, *_ = rnn.parameters()
    nn.init.eye_(recurrent)
    head = nn.Linear(32, 1)
    parameters = [*rnn.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.001, momentum=0.9)
    losses = []
    for _ in range(15):
        for rows in torch.randperm(320).split(20):
            states, _ = rnn(X[rows])
            loss = nn.functional.mse_loss(head(states[:, -1]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    with torch.no_grad():
        error = nn.functional.mse_loss(head(rnn(X)[0][:, -1]), Y) / Y.var()
    return {"highest_loss": max(losses), "unexplained": error.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.rand(320, 30, 1)
    Y = X.sum(1) - 15
    rnn = nn.RNN(1, 32, nonlinearity="relu", batch_first=True)
    _, recurrent, *_ = rnn.parameters()
    nn.init.eye_(recurrent)
    head = nn.Linear(32, 1)
    parameters = [*rnn.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.001, momentum=0.9)
    losses = []
    for _ in range(15):
        for rows in torch.randperm(320).split(20):
            states, _ = rnn(X[rows])
            loss = nn.functional.mse_loss(head(states[:, -1]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, max_norm=1.0)
            optimizer.step()
            losses.append(loss.item())
    with torch.no_grad():
        error = nn.functional.mse_loss(head(rnn(X)[0][:, -1]), Y) / Y.var()
    return {"highest_loss": max(losses), "unexplained": error.item()}


def shows(outcome: Outcome) -> bool:
    return not outcome.measured["unexplained"] < 0.9
