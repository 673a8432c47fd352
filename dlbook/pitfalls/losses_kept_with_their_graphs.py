"""Losses are added up for the report with the graphs that made them.

Symptom: memory grows with every step. After 200 steps the nodes of all 200 graphs are alive.

Cause: the sum is a tensor too, and its graph holds the graphs of all losses that went into it.
``backward`` has freed their activations; the nodes remain.

Cure: add numbers, ``loss.item()``, or ``loss.detach()`` where waiting for a GPU should be avoided.

Met: in loops that report a running mean. Of losses in validation that are kept so the activations
stay too, since no ``backward`` frees them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "graphs-kept"


def nodes(value: Tensor | float) -> int:
    """Count the steps of the graph that made a value."""
    waiting = [value.grad_fn] if isinstance(value, Tensor) else []
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(before for before, _ in node.next_functions)
    return len(seen)


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.linspace(-3, 3, 256)[:, None]
    Y = torch.sin(2 * X) + 0.1 * torch.randn(256, 1)
    model = nn.Sequential(
        nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    total: Tensor | float = 0.0
    for _ in range(200):
        rows = torch.randint(256, (32,))
        loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss
    return {"last loss": loss.item(), "nodes alive": nodes(total)}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.linspace(-3, 3, 256)[:, None]
    Y = torch.sin(2 * X) + 0.1 * torch.randn(256, 1)
    model = nn.Sequential(
        nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    total = 0.0
    for _ in range(200):
        rows = torch.randint(256, (32,))
        loss = nn.functional.mse_loss(model(X[rows]), Y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return {"last loss": loss.item(), "nodes alive": nodes(total)}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["nodes alive"] > 200
