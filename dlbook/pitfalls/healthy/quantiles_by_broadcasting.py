"""Three quantiles are foretold for each target.

Suspicious: predictions of shape (n, 3) are compared with targets of shape (n, 1), which broadcast.

Right: the one target of an example is what each of its three predictions is held against. Errors
below and above weigh differently for each, so that a tenth, half and nine tenths of the targets
fall below the three.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.rand(3000, 1) * 2 - 1
    y = X.square() * 3 + (0.2 + 0.8 * X.abs()) * torch.randn(3000, 1)
    loader = DataLoader(TensorDataset(X[:2000], y[:2000]), batch_size=100, shuffle=True)
    shares = torch.tensor([0.1, 0.5, 0.9])
    model = nn.Sequential(
        nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(15):
        for inputs, targets in loader:
            error = targets - model(inputs)
            loss = torch.maximum(shares * error, (shares - 1) * error).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        below = (y[2000:] < model(X[2000:])).float().mean(0)
        error = y[2000:] - model(X[2000:])
        test_loss = torch.maximum(shares * error, (shares - 1) * error).mean()
        error = y[2000:] - y[:2000].quantile(shares)
        of_constants = torch.maximum(shares * error, (shares - 1) * error).mean()
    return {
        "below the first": below[0].item(),
        "below the second": below[1].item(),
        "below the third": below[2].item(),
        "loss by that of three constants": (test_loss / of_constants).item(),
    }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["loss by that of three constants"] < 0.85
