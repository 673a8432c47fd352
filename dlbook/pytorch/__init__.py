"""The same ideas in PyTorch, on a CPU or a GPU."""

from __future__ import annotations

from dlbook.pytorch.data import make_loader
from dlbook.pytorch.devices import available_devices, best_device
from dlbook.pytorch.models import MLP
from dlbook.pytorch.training import evaluate, fit

__all__ = ["MLP", "available_devices", "best_device", "evaluate", "fit", "make_loader"]
