"""The seed is set within the loop over the epochs.

Symptom: the loss in training falls to almost nothing, and on signals drawn anew it is higher than
that of a constant answer, 0.69.

Cause: each epoch is to draw new signals. With the generator set back at its head, every epoch draws
the same 64, and the network learns them by heart.

Cure: set the seed once, before the loop.

Met: where a function that is called each epoch begins with the seed, to make it reproducible. What
is drawn in the epoch repeats: simulated examples, noise, masks of dropout, order of batches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "same-draws-each-epoch"


def draw(number: int) -> tuple[Tensor, Tensor]:
    """Draw noisy signals of a low or a high frequency, at any phase."""
    high = torch.randint(2, (number,))
    time = torch.arange(40) / 40
    phase = torch.rand(number, 1)
    wave = torch.sin(6.28 * ((3 + high[:, None]) * time + phase))
    return wave + 1.5 * torch.randn(number, 40), high


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(40, 100), nn.ReLU(), nn.Linear(100, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(300):
        torch.manual_seed(seed)
        signals, high = draw(64)
        loss = nn.functional.cross_entropy(model(signals), high)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        signals, high = draw(2000)
        anew = nn.functional.cross_entropy(model(signals), high)
    return {"training": loss.item(), "drawn anew": anew.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(40, 100), nn.ReLU(), nn.Linear(100, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(300):
        signals, high = draw(64)
        loss = nn.functional.cross_entropy(model(signals), high)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        signals, high = draw(2000)
        anew = nn.functional.cross_entropy(model(signals), high)
    return {"training": loss.item(), "drawn anew": anew.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["training"] < 0.05 and outcome.measured["drawn anew"] > 0.69
