"""What can be run: ``python3 run.py SESSION``, or ``nox -s SESSION`` inside ``.venv``.

All sessions share the one environment ``.venv``: torch is large, and one copy of it is enough.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2026.7"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests", "lint", "site", "browser"]

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
BUILD = ROOT / "build"
NPM = BUILD / "npm"
SITE = BUILD / "site"
PACKAGES = ROOT / "dlbook" / "publishing" / "npm"
CONSTRAINTS = ROOT / "constraints.txt"
OFFLINE = ("ConnectionError", "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH")


def fingerprint(*paths: Path) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def quietly(session: nox.Session, what: str, *command: str | Path, cwd: Path = ROOT) -> None:
    """Run a set-up command; if it fails, keep its output in a file and end in one line."""
    log = BUILD / "logs" / f"{what.split()[0]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        text = log.read_text(encoding="utf-8", errors="replace")
        errors = [line for line in text.splitlines() if "error" in line.lower()]
        why = errors[0] if errors else "it did not say why"
        if any(sign in text for sign in OFFLINE):
            why = "no package index could be reached; check the network"
        session.error(f"could not install {what}: {why} (all of it: {log.relative_to(ROOT)})")


def environment(session: nox.Session) -> None:
    """Install the package (editable) and every tool, pinned, unless they are there."""
    stamp = VENV / "dlbook.stamp"
    wanted = fingerprint(ROOT / "pyproject.toml", CONSTRAINTS)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    if not (BIN / Path(sys.executable).name).exists():
        session.error("there is no .venv yet: run `python3 run.py SESSION` once")
    session.log("installing dlbook and its tools into .venv (a minute or two, once)")
    pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "--retries", "2"]
    quietly(session, "packages", *pip, "-c", str(CONSTRAINTS), "-e", ".", *groups("dev"))
    stamp.write_text(wanted)


def groups(*names: str) -> list[str]:
    project = nox.project.load_toml(ROOT / "pyproject.toml")
    return list(nox.project.dependency_groups(project, *names))


def assets(session: nox.Session) -> None:
    """Install KaTeX, fonts and axe from npm, exactly as locked, below ``build/npm``."""
    stamp = NPM / "stamp"
    files = [PACKAGES / "package.json", PACKAGES / "package-lock.json"]
    wanted = fingerprint(*files)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    session.log("installing KaTeX, fonts and axe into build/npm (once)")
    NPM.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, NPM)
    npm = shutil.which("npm", path=str(BIN)) or "npm"
    options = ["--no-audit", "--no-fund", "--ignore-scripts"]
    quietly(session, "JavaScript packages", npm, "ci", *options, cwd=NPM)
    stamp.write_text(wanted)


def run(session: nox.Session, *command: str) -> None:
    """Run a Python module of the environment."""
    python = str(BIN / "python")
    session.run(python, "-m", *command, external=True, env={"NO_MKDOCS_2_WARNING": "1"})


def build(session: nox.Session) -> None:
    environment(session)
    assets(session)
    run(session, "mkdocs", "--quiet", "build", "--strict")


@nox.session
def serve(session: nox.Session) -> None:
    """Build the book and serve it on localhost; it rebuilds on every save."""
    parser = argparse.ArgumentParser(prog="run.py serve --")
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args(session.posargs).port
    environment(session)
    assets(session)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            other = f"python3 run.py serve -- --port {port + 1}"
            session.error(f"port {port} is busy. Choose another: {other}")
    session.log(f"the book will stand at http://127.0.0.1:{port}/ (stop with Ctrl-C)")
    run(session, "mkdocs", "serve", "--dev-addr", f"127.0.0.1:{port}")


@nox.session
def site(session: nox.Session) -> None:
    """Build the site strictly into build/site: any warning is an error."""
    build(session)
    session.log(f"open {(SITE / 'index.html').relative_to(ROOT)} in a browser")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the whole suite: package, docstrings, every block and equation of every chapter.

    Where there is a CUDA device, the tests of the PyTorch half run once more, on it.
    """
    environment(session)
    assets(session)
    session.env["OMP_NUM_THREADS"] = "1"  # small networks: threads cost more than they give
    processes = str(min(os.cpu_count() or 1, 8))
    run(session, "pytest", "--numprocesses", processes, "--dist", "loadfile", *session.posargs)
    if not session.posargs:
        run(session, "tests.on_device")  # says in one line where there is none


@nox.session
def browser(session: nox.Session) -> None:
    """Test the built site in Chromium: accessibility, outside requests, search, offline use."""
    build(session)
    run(session, "pytest", "-c", "tests/browser/pytest.ini", "tests/browser", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it into an empty environment and use it outside the repository."""
    environment(session)
    options = "--override-ini=addopts=--import-mode=importlib"
    run(session, "pytest", options, "tests/wheel", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, mypy --strict and the import directions."""
    environment(session)
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")
    run(session, "mypy")
    session.run(str(BIN / "lint-imports"), "--no-cache", external=True)


@nox.session
def ledger(session: nox.Session) -> None:
    """Count what is proved: one table."""
    environment(session)
    run(session, "dlbook.publishing.ledger")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what the book and the README state, and record it with machine and date."""
    environment(session)
    run(session, "tests.benchmarks.digits", *session.posargs)
    run(session, "tests.benchmarks.speed", *session.posargs)
    run(session, "tests.benchmarks.wall")
    run(session, "tests.benchmarks.pytorch_speed")
    run(session, "tests.benchmarks.watching")
    run(session, "tests.benchmarks.gpu")  # says in one line where there is none


@nox.session
def thorough(session: nox.Session) -> None:
    """Run what is too long for every change, and record the results."""
    environment(session)
    run(session, "tests.benchmarks.thorough", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Refresh constraints.txt with the newest of everything but torch, which stays as pinned.

    Run it by the oldest Python that dlbook promises to work with: packages drop old patch releases.
    """
    environment(session)
    pin = next(line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch=="))
    fresh = BUILD / "lock"
    shutil.rmtree(fresh, ignore_errors=True)
    quietly(session, "environment for the lock", sys.executable, "-m", "venv", str(fresh))
    python = str(fresh / BIN.relative_to(VENV) / "python")
    install = [python, "-m", "pip", "install", "--quiet", pin, "-e", ".", *groups("dev")]
    quietly(session, "newest packages", *install)
    frozen = subprocess.run(
        [python, "-m", "pip", "freeze", "--exclude-editable"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    skip = ("torch==", "nvidia-", "triton==", "cuda-")
    rest = [line for line in frozen if "==" in line and not line.startswith(skip)]
    draft = CONSTRAINTS.with_suffix(".tmp")
    draft.write_text("\n".join([pin, *rest]) + "\n")
    draft.replace(CONSTRAINTS)


if __name__ == "__main__":
    nox.main()
