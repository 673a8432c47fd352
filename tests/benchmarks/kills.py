"""Fifty runs killed at random moments, every second one in a write: do they end with the same bits?

The runs and what kills them stand in ``tests/killed``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.recording import record

COMMAND = "python3 run.py thorough -- kills"
COUNT, SEED, WIDTH = 50, 0, 8192
ROOT = Path(__file__).parents[2]


def measured(count: int = COUNT, seed: int = SEED, width: int = WIDTH) -> dict[str, int]:
    """Kill runs and go on with them; count what came of it."""
    part = f"kills:{count}:{seed}:{width}"
    command = [sys.executable, "-m", "tests.killed.harness", part]
    report = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return counted(json.loads(report.stdout)[part])


def counted(kills: list[dict[str, Any]]) -> dict[str, int]:
    """Count the kills, those in a write, those that left a part of a file, and what followed."""
    return {
        "kills": len(kills),
        "in_a_write": sum(kill["in a write"] for kill in kills),
        "cut_short": sum(kill["cut short"] for kill in kills),
        "unsound_files": sum(kill["unsound"] for kill in kills),
        "left_over_files": sum(kill["left over"] for kill in kills),
        "equal_to_the_bit": sum(kill["equal"] for kill in kills),
    }


def broken_promises(values: dict[str, int]) -> list[str]:
    """Say which promises about killed runs do not hold."""
    broken = []
    if values["equal_to_the_bit"] < values["kills"]:
        broken.append(
            f"{values['kills'] - values['equal_to_the_bit']} of {values['kills']} runs that were "
            "killed and gone on with did not end with the same bits"
        )
    if values["in_a_write"] < values["kills"] // 2:
        broken.append(f"{values['in_a_write']} of {values['kills']} kills were in a write")
    for name in ("unsound_files", "left_over_files"):
        if values[name]:
            broken.append(f"{values[name]} {name.replace('_', ' ')}")
    return broken


def main() -> list[str]:
    """Measure, and record if every promise holds; return those that do not."""
    values = measured()
    broken = broken_promises(values)
    if not broken:
        record("kills", COMMAND, dict(values))
    return broken
