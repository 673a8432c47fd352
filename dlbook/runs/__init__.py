"""A training run from the name of a task to a folder of results: what ``dlbook train`` does."""

from __future__ import annotations

from dlbook.runs.by_pytorch import RunError, newest_checkpoint, processes
from dlbook.runs.folder import keep
from dlbook.runs.preparing import obstacle
from dlbook.runs.results import delivery_minutes, measure
from dlbook.runs.training import Run, settings, train

__all__ = [
    "Run",
    "RunError",
    "delivery_minutes",
    "keep",
    "measure",
    "newest_checkpoint",
    "obstacle",
    "processes",
    "settings",
    "train",
]
