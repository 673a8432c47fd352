from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = {"torch", "matplotlib", "sklearn", "numpy", "rich", "typer"}


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("dlbook", set()),
        ("dlbook.history", set()),
        ("dlbook.tasks", set()),
        ("dlbook.runs", set()),
        ("dlbook.metrics", {"numpy"}),
        ("dlbook.data", {"numpy"}),
        ("dlbook.scratch", {"numpy"}),
        ("dlbook.scratch.training", {"numpy"}),
        ("dlbook.scratch.autograd", {"numpy"}),
        ("dlbook.scratch.estimators", {"numpy", "sklearn", "rich"}),
        ("dlbook.cli", {"typer", "rich"}),
        ("dlbook.pytorch", {"numpy", "torch"}),
    ],
)
def test_a_module_loads_only_what_it_needs(module: str, allowed: set[str]) -> None:
    script = f"import sys, {module}; print(*({HEAVY} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= allowed


def test_subpackages_load_on_first_use() -> None:
    script = "import dlbook; print(dlbook.metrics.accuracy.__module__, dir(dlbook))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.startswith("dlbook.metrics "), done.stderr
    assert "'scratch'" in done.stdout, "what can be loaded is listed"


def test_every_name_that_scratch_offers_is_there() -> None:
    script = "import dlbook.scratch as s; print(len({getattr(s, name) for name in s.__all__}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with pytest.raises(AttributeError, match=r"'dlbook\.scratch' has no attribute 'Linaer'"):
        __import__("dlbook.scratch").scratch.Linaer  # noqa: B018  # asking is what is tested


def test_every_room_is_held_to_an_import_direction() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    held = {module for contract in contracts for module in contract["source_modules"]}
    package = ROOT / "dlbook"
    rooms = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    assert {f"dlbook.{room}" for room in rooms - {"__init__", "__main__"}} <= held


def test_no_version_is_admitted_that_is_older_than_the_tested_one() -> None:
    pinned = dict(
        line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().split()
    )
    for requirement in PROJECT["project"]["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)>=([\w.]+)", requirement).groups()  # type: ignore[union-attr]  # a requirement of another form shall fail
        assert bound == pinned[name.lower()], f"{requirement}: tested with {pinned[name.lower()]}"


def test_every_pin_can_be_installed_by_the_oldest_python() -> None:
    """Debian's Python is 3.11.2, and some releases ask for 3.11.5."""
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=") + ".0"
    for line in (ROOT / "constraints.txt").read_text().split():
        name, version = line.split("==")
        wanted = metadata.distribution(name).metadata["Requires-Python"] or ""
        assert SpecifierSet(wanted).contains(oldest), f"{name} {version} wants Python {wanted}"
