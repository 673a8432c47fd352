"""Gradients of eight batches add up, and nobody divides by eight.

Symptom: at a rate that is right for the large batch the loss runs away and ends as NaN.

Cause: ``backward`` adds. The step follows the sum of eight mean gradients, which is eight times the
mean over all their examples, as if the rate were eight times higher.

Cure: divide each loss by the number of batches that make a step.

Met: where a batch is cut up to fit into memory and its rate is kept. With Adam, which divides by
the size of the gradients, it hardly shows.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "accumulation-not-divided"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.randn(1024, 12)
    Y = torch.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:3] + 0.1 * torch.randn(1024, 1)
    model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(20):
        for number, rows in enumerate(torch.randperm(1024).split(16), start=1):
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            loss.backward()
            if number % 8 == 0:
                optimizer.step()
                optimizer.zero_grad()
    with torch.no_grad():
        return {"loss": nn.functional.mse_loss(model(X), Y).item(), "constant": Y.var().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.randn(1024, 12)
    Y = torch.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:3] + 0.1 * torch.randn(1024, 1)
    model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(20):
        for number, rows in enumerate(torch.randperm(1024).split(16), start=1):
            loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
            (loss / 8).backward()
            if number % 8 == 0:
                optimizer.step()
                optimizer.zero_grad()
    with torch.no_grad():
        return {"loss": nn.functional.mse_loss(model(X), Y).item(), "constant": Y.var().item()}


def shows(outcome: Outcome) -> bool:
    return not outcome.measured["loss"] < outcome.measured["constant"]
