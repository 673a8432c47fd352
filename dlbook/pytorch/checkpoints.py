"""Checkpoints of a training run: written whole or not at all, refused when they are not sound."""

from __future__ import annotations

from pathlib import Path

from dlbook.pytorch.state import Run

__all__ = ["Checkpoints"]


class Checkpoints:
    """Where a run is kept, so that it can go on after an interruption."""

    def __init__(
        self, folder: str | Path, *, every: int | None = None, keep: int = 3, resume: bool = False
    ) -> None:
        raise NotImplementedError

    def restore(self, run: Run) -> None:
        """Bring a run to where the newest good checkpoint left it."""

    def after_step(self, run: Run) -> None:
        """Keep the run if the number of its steps says so."""

    def after_epoch(self, run: Run) -> None:
        """Keep the run at the end of an epoch."""
