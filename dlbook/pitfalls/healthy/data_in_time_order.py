"""A series is learned in its order, and the years after it are the test.

Suspicious: batches come in the same order in each epoch, training and validation are not mixed, and
neighboring examples share eleven of their twelve values.

Right: what is wanted is to foretell what comes later. Drawn at random, a month of the test would
lie between two of training; that test would be too easy.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


class Forecast(nn.Module):
    """Foretells the value after a window."""

    def __init__(self) -> None:
        super().__init__()
        self.recur = nn.GRU(1, 16, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, window: Tensor) -> Tensor:
        """Return values of shape (n, 1) for windows of shape (n, 12, 1)."""
        states, _ = self.recur(window)
        value: Tensor = self.head(states[:, -1])
        return value


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    month = torch.arange(480.0)
    series = torch.sin(2 * torch.pi * month / 12) + 0.5 * torch.sin(2 * torch.pi * month / 30)
    series = series + 0.15 * torch.randn(480)
    windows = series.unfold(0, 13, 1)
    X, y = windows[:, :12, None], windows[:, 12:]
    loader = DataLoader(TensorDataset(X[:380], y[:380]), batch_size=20, shuffle=False)
    model = Forecast()
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(15):
        for window, value in loader:
            optimizer.zero_grad()
            loss = criterion(model(window), value)
            loss.backward()
            optimizer.step()
    later = slice(392, None)  # shares no month with training
    with torch.no_grad():
        error = criterion(model(X[later]), y[later])
    return {
        "error": error.item(),
        "error of the last value": criterion(X[later, -1], y[later]).item(),
    }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["error"] < 0.7 * outcome.measured["error of the last value"]
