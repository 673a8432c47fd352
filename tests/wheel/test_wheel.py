"""The wheel as a reader gets it: built, installed into an empty environment, used elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import dlbook
from dlbook.history import History

ROOT = Path(__file__).parents[2]
DRAWN = {"learning-curves", "confusion-matrix"}


def run(*command: str | Path, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "DLBOOK_DEVICE")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation"]
    run(*pip, "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an empty environment into which the wheel was installed."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=True)
    folder = environment / ("Scripts" if os.name == "nt" else "bin")
    constraints: list[str | Path] = ["--constraint", ROOT / "constraints.txt"]
    run(folder / "python", "-m", "pip", "--quiet", "install", *constraints, wheel, cwd=environment)
    return folder


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.endswith("/")}
    information = f"dlbook-{dlbook.__version__}.dist-info/"
    assert f"{information}licenses/LICENSE" in inside
    code = {name for name in inside if not name.startswith(information)}
    package = ROOT / "dlbook"
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.relative_to(package).parts[0] != "publishing"
    }
    assert code == expected
    assert {"dlbook/py.typed", "dlbook/data/delivery.csv", "dlbook/cli.py"} <= code


def test_every_module_loads_with_the_packages_own_dependencies(
    commands: Path, tmp_path: Path
) -> None:
    script = (
        "import importlib, pkgutil, dlbook\n"
        "modules = [m.name for m in pkgutil.walk_packages(dlbook.__path__, 'dlbook.')]\n"
        "for name in modules:\n"
        "    if not name.endswith('__main__'): importlib.import_module(name)\n"
        "print(dlbook.__file__, *modules)"
    )
    where, *modules = run(commands / "python", "-c", script, cwd=tmp_path).split()
    assert not Path(where).is_relative_to(ROOT), "the installed package, not the repository's"
    assert {"dlbook.scratch.training", "dlbook.pytorch.training", "dlbook.figures.runs"} <= {
        *modules
    }
    assert "dlbook.publishing" not in modules


def test_it_shows_its_version(commands: Path, tmp_path: Path) -> None:
    shown = f"dlbook {dlbook.__version__}\n"
    assert run(commands / "dlbook", "--version", cwd=tmp_path) == shown
    assert run(commands / "python", "-m", "dlbook", "--version", cwd=tmp_path) == shown


@pytest.mark.parametrize("backend", ["numpy", "pytorch"])
def test_it_trains_digits(backend: str, commands: Path, tmp_path: Path) -> None:
    options = ["--epochs", "3", "--backend", backend, "--out", "out"]
    shown = run(commands / "dlbook", "train", "digits", *options, cwd=tmp_path)
    assert "test accuracy" in shown
    expected = {f"{name}.{suffix}" for name in DRAWN for suffix in ("png", "svg")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"history.json", *expected}
    assert History.load(tmp_path / "out" / "history.json")["validation_accuracy"][-1] > 0.8
