"""What two processes train together, alone and with the doctor watching in each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import distributed
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from dlbook.doctor import watch
from dlbook.doctor.discovery import watch_everything
from tests.watched_programs import Watching, batches, ended, perceptron, seed, sgd


def trained(watching: Watching, *, accumulates: bool) -> Any:
    """Train a network on each process's own batches."""
    seed()
    model = DistributedDataParallel(perceptron())
    optimizer = sgd(model)
    torch.manual_seed(distributed.get_rank())
    losses = []
    with watching(model, optimizer):
        for number, (X, y) in enumerate(batches()):
            waits = accumulates and number % 2 == 0
            with model.no_sync() if waits else nullcontext():
                loss = functional.cross_entropy(model(X), y)
                loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
            if not waits:
                optimizer.step()
                optimizer.zero_grad()
    losses, states, _, kept, _, draws = ended(model, optimizer, losses)
    return [losses, states, kept, draws[0]]


def everything(_device: torch.device) -> Any:
    """Train in every way; return what each ended with and, for those watched, what was said."""
    first = distributed.get_rank() == 0
    told: list[str] = []

    @contextmanager
    def from_beside(model: Any, optimizer: Any) -> Iterator[None]:
        with watch(model, optimizer) as w:
            yield
        told.append(str(w.report()) if w.report() else "")

    @contextmanager
    def asked_in_the_first(model: Any, optimizer: Any) -> Iterator[None]:
        with watch_everything() as w:
            yield
        if first:  # the others do not wait for it
            told.append(str(w.report()) if w.report() else "")

    found: dict[str, Any] = {}
    for accumulates in (False, True):
        ways: list[Watching] = [lambda *_: nullcontext(), from_beside, asked_in_the_first]
        found[str(accumulates)] = [trained(way, accumulates=accumulates) for way in ways]
    return {"found": found, "told": told}
