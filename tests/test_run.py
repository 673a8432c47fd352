"""What goes wrong when everything is set up ends in one clear line."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """run.py as a module, with no environment made yet."""
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PYTHON", str(tmp_path / "python"))
    return module


def line(stopped: pytest.ExceptionInfo[SystemExit]) -> str:
    message = str(stopped.value.code)
    assert "\n" not in message
    return message


def test_an_old_python_is_told_which_one_is_needed(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(SystemExit) as stopped:
        run.main(["tests"])
    assert line(stopped) == "run.py: dlbook needs Python 3.11 or newer, and this is Python 3.10.4."


@pytest.mark.parametrize(
    ("step", "output", "said"),
    [
        ("venv", "ensurepip is not available", "lacks venv"),
        ("pip", "NewConnectionError(...)\nERROR: No matching distribution found", "network"),
        ("pip", "noise\nERROR: disk is full\n", "disk is full"),
    ],
)
def test_a_failed_set_up_says_why(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, step: str, output: str, said: str
) -> None:
    monkeypatch.setattr(run, "capture", lambda command: (int(step in command), output))
    with pytest.raises(SystemExit) as stopped:
        run.main(["tests"])
    assert said in line(stopped)


def test_a_busy_port_is_named_with_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "nox", "--session", "serve", "--", "--port", str(port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    lines = [text for text in done.stderr.splitlines() if "busy" in text]
    assert len(lines) == 1
    assert f"port {port} is busy" in lines[0]
    assert f"--port {port + 1}" in lines[0]
    assert "Traceback" not in done.stderr


def test_the_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "$ python3 run.py serve " in readme
    assert "$ python3 run.py tests " in readme
    assert "python3 run.py tests" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
