"""Recorded numbers: what was measured, by which command, where and when."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dlbook.files import write_atomically

RESULTS = Path(__file__).parents[2] / "book" / "results"
PACKAGES = ("numpy", "torch", "scikit-learn")


def record(name: str, command: str, values: dict[str, Any], *, folder: Path = RESULTS) -> Path:
    """Write ``<name>.json`` for the chapters to insert from."""
    content = {
        "command": command,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        "values": values,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    write_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    return path


def machine() -> str:
    """Name the processor, its cores and the system, and nothing that tells whose it is."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
