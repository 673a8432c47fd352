"""What ``Tensor.to`` returns is dropped.

Symptom: the first forward pass stops with ``Input type (float) and bias type (double) should be the
same``.

Cause: ``to`` changes a module in place, but of a tensor it returns another one and leaves it as it
is. After the two lines the network is in double precision and the signals are not.

Cure: assign the result, ``signals = signals.to(…)``.

Met: with ``to(device)``, ``float()``, ``long()`` and ``cuda()`` alike, where a line that works for
the network is copied for the batch.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "conversion-dropped"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    signals = torch.randn(256, 1, 32)
    rises = torch.randint(2, (256,))
    signals += (2.0 * rises - 1)[:, None, None] * torch.linspace(-1, 1, 32)
    model = nn.Sequential(
        nn.Conv1d(1, 4, 5), nn.ReLU(), nn.Conv1d(4, 4, 5), nn.Flatten(), nn.Linear(96, 2)
    )
    model.to(torch.float64)
    signals.to(torch.float64)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(10):
        for xb, yb in zip(signals.split(32), rises.split(32), strict=True):
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {"accuracy": (model(signals).argmax(1) == rises).float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    signals = torch.randn(256, 1, 32)
    rises = torch.randint(2, (256,))
    signals += (2.0 * rises - 1)[:, None, None] * torch.linspace(-1, 1, 32)
    model = nn.Sequential(
        nn.Conv1d(1, 4, 5), nn.ReLU(), nn.Conv1d(4, 4, 5), nn.Flatten(), nn.Linear(96, 2)
    )
    model.to(torch.float64)
    signals = signals.to(torch.float64)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(10):
        for xb, yb in zip(signals.split(32), rises.split(32), strict=True):
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {"accuracy": (model(signals).argmax(1) == rises).float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return "(float) and bias type (double) should be the same" in outcome.error
