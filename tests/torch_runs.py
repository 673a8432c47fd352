"""Small networks and batches for tests of the PyTorch loop."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlbook.pytorch import MLP
from dlbook.pytorch.data import Batch
from tests.on_device import DEVICE

CLASSES = nn.CrossEntropyLoss()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batches(*sizes: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Batch]:
    """Make batches of these sizes, with three features and three classes, as a loader would."""
    generator = seeded(seed)
    X = torch.randn(sum(sizes), 3, generator=generator, dtype=dtype)
    y = torch.randint(3, (sum(sizes),), generator=generator)
    return list(zip(torch.split(X, [*sizes]), torch.split(y, [*sizes]), strict=True))


def joined(parts: list[Batch]) -> Batch:
    """Make one batch of several."""
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))


def there(batch: Batch) -> Batch:
    """Bring a batch to where the tests compute, for loops written in line."""
    return tuple(part.to(DEVICE) for part in batch)


def network(seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    return MLP([3, 8, 3], generator=seeded(seed)).to(dtype)


def every_kind_of_layer(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Make a network whose result depends on its mode and on the global generator."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    ).to(dtype)


def sgd(model: nn.Module, lr: float = 0.1, **options: Any) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=lr, **options)


def vector(model: nn.Module) -> Tensor:
    """Return a copy of all parameters in one row, on the CPU."""
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone().cpu()
