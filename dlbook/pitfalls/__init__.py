"""Faults that people make with PyTorch, as programs that fail, and the same programs mended."""

from __future__ import annotations

from dlbook.pitfalls.programs import (
    Healthy,
    Kind,
    Outcome,
    Pitfall,
    healthy_names,
    load_healthy,
    load_pitfall,
    pitfall_names,
    run,
)

__all__ = [
    "Healthy",
    "Kind",
    "Outcome",
    "Pitfall",
    "healthy_names",
    "load_healthy",
    "load_pitfall",
    "pitfall_names",
    "run",
]
