"""Records come from a stream that has no length and no end.

Suspicious: the loader does not shuffle, has no length, and there are no epochs.

Right: the stream itself draws records at random, so that their order tells nothing and none comes
twice; training ends after so many steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Waves(IterableDataset[tuple[Tensor, Tensor]]):
        def __init__(self, seed: int) -> None:
            self.generator = torch.Generator().manual_seed(seed)

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            times = torch.arange(20) / 20
            while True:
                rate, phase = torch.rand(2, generator=self.generator)
                noise = 0.1 * torch.randn(20, generator=self.generator)
                yield torch.sin(6 * (1 + rate) * times + 6 * phase) + noise, rate

    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    loader = DataLoader(Waves(seed), batch_size=32)
    for waves, rates in islice(loader, 500):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(waves).squeeze(1), rates)
        loss.backward()
        optimizer.step()
    waves, rates = next(iter(DataLoader(Waves(seed + 1000), batch_size=1000)))
    with torch.inference_mode():
        error = nn.functional.mse_loss(model(waves).squeeze(1), rates)
    return {"part of the variance left": (error / rates.var()).item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["part of the variance left"] < 0.3
