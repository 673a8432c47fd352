"""A network is fitted to whole numbers with a loss for quantities.

Suspicious: the targets are integers from 0 upwards, as class numbers are, and none goes through
cross-entropy.

Right: they are counts. Two events are twice as many as one, and what is predicted is how many to
expect; the loss is that of a Poisson distribution whose logarithm of the rate is the output.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(-1, 1, size=(1500, 3))
    rate = np.exp(1 + np.sin(3 * inputs[:, 0]) + inputs[:, 1])
    counts = rng.poisson(rate)
    torch.manual_seed(seed)
    X = torch.from_numpy(inputs).float()
    y, expected = torch.from_numpy(counts), torch.from_numpy(rate).float()
    model = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 1), nn.Flatten(0))
    loss_fn = nn.PoissonNLLLoss(log_input=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _epoch in range(15):
        for rows in torch.randperm(1000).split(25):
            loss = loss_fn(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        guess = model(X[1000:]).exp()
    error, spread = (guess - expected[1000:]).square().mean(), expected[1000:].var()
    return {"variance of the rate explained": 1 - (error / spread).item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["variance of the rate explained"] > 0.8
