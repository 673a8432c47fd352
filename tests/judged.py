"""Small programs under the doctor's eyes, judged by some of its rules alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise

import torch
from torch import Tensor, nn

from dlbook.doctor import Report
from dlbook.doctor.discovery import watch_everything
from dlbook.doctor.rules import RULES

__all__ = ["batches", "descend", "judged", "mlp", "reported"]


def judged(program: Callable[[], object], codes: Iterable[str]) -> list[str]:
    """Run a program, and return which of these faults are found, the first to be read first."""
    torch.manual_seed(0)
    with watch_everything() as watcher, suppress(RuntimeError):
        program()
    watcher.paused = True
    findings = [RULES[code].apply(watcher.record) for code in RULES if code in set(codes)]
    report = Report.of([found for found in findings if found is not None], seen="")
    return [finding.code for finding in report.findings]


def reported(program: Callable[[], object]) -> Report:
    """Run a program, and return what all rules say of it."""
    torch.manual_seed(0)
    with watch_everything() as watcher:
        program()
    return watcher.report()


def batches(*tensors: Tensor, size: int = 32, epochs: int = 10) -> Iterable[tuple[Tensor, ...]]:
    """Yield batches of shuffled rows."""
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(tensors[0])), size):
            yield tuple(tensor[rows] for tensor in tensors)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Make one step."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def mlp(*widths: int) -> nn.Sequential:
    """Make linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for d_in, d_out in pairwise(widths):
        layers += [nn.Linear(d_in, d_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
