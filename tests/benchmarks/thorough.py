"""What is too long for every change: it fails unless the promises hold, and records by how much.

``-- digits``, ``-- kills`` and ``-- pitfalls`` run these parts alone; ``-- mutants`` runs the
mutants of the modules whose code has changed since they were recorded, or of those named, as in
``-- mutants losses/pairs``; ``-- survivors`` tries again what lived.
"""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console

from tests.benchmarks import kills, mutants, pitfalls
from tests.benchmarks.digits import compare, show
from tests.benchmarks.recording import record
from tests.benchmarks.survivors import modules

COMMAND = "python3 run.py thorough"
ALONE = ("digits", "kills", "pitfalls")
RIGHT, APART, SECONDS = 0.97, 0.005, 20.0


def broken_promises(values: dict[str, Any]) -> list[str]:
    """Say which promises about digits do not hold."""
    reference = values["sklearn"]["test_accuracy"]["mean"]
    broken = []
    for backend in ("numpy", "pytorch"):
        mean = values[backend]["test_accuracy"]["mean"]
        longest = values[backend]["seconds"]["max"]
        if mean < RIGHT:
            broken.append(f"{backend}: {mean:.2%} of the test images right, not {RIGHT:.0%}")
        if abs(mean - reference) > APART:
            broken.append(
                f"{backend}: {mean:.2%} right, more than half a point from scikit-learn's "
                f"{reference:.2%}"
            )
        if longest > SECONDS:
            broken.append(f"{backend}: a run took {longest:.0f} s, more than {SECONDS:.0f} s")
    return broken


def digits() -> list[str]:
    """Measure, show, and record if every promise holds; return those that do not."""
    values = compare()
    show(values)
    broken = broken_promises(values)
    if not broken:
        record("thorough", COMMAND, {"digits": values})
    return broken


def main(arguments: list[str]) -> int:
    """Run the parts asked for, else all."""
    part, chosen = (arguments or [""])[0], arguments[1:]
    unknown = [module for module in chosen if module not in modules()]
    broken: list[str] = []
    if part not in ("", *ALONE, "mutants", "survivors") or unknown or (part in ALONE and chosen):
        broken = [
            "expected digits, kills, pitfalls, or mutants or survivors, these with modules as "
            f"losses/pairs, got {' '.join(arguments)}"
        ]
    else:
        broken += digits() if part in ("", "digits") else []
        broken += kills.main() if part in ("", "kills") else []
        broken += pitfalls.main() if part in ("", "pitfalls") else []
        if part not in ALONE:
            broken += mutants.main(chosen, again=part == "survivors")
    if broken:
        Console(stderr=True).print(*broken, sep="\n", markup=False, soft_wrap=True)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
