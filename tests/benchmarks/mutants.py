"""Plant small mistakes in dlbook/scratch, one at a time, and count those that the tests notice.

Own code: mutmut, tried on this layout, failed while it collected its statistics; cosmic-ray was
not tried. Here a process that has imported NumPy, PyTorch and pytest forks for each mutant. It runs
in a copy of the tree, so the working tree never holds a mistake.

A mutant meets the tests of its own module first (``tests/test_<name>.py``, its doctests, its cases
in the contract and in the parity with PyTorch), and if it lives, ``WIDER``. The first failure ends
it; so does processor time, where it made a loop endless.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks.mutation import Mutant, mutants
from tests.benchmarks.recording import RESULTS, record
from tests.benchmarks.survivors import REASONS

ROOT = Path(__file__).parents[2]
COMMAND = "python3 run.py thorough -- mutants"
PACKAGE = "dlbook/scratch"
KILLED = 0.90
COPIED = ("dlbook", "tests", "pyproject.toml")
CASES = ("tests/test_contract.py", "tests/test_parity.py")
WIDER = ("tests/test_field_errors.py", "tests/test_training.py", "tests/test_layers.py")
OWN = {"clipping": "optimizers", "updates": "optimizers", "rates": "schedules"}
OWN |= {"pooling": "convolution", "blocks": "optimizers", "evaluation": "training"}
OWN |= {"penalties": "normalization", "checks": "linear"}
OPTIONS = ["-x", "-q", "--noconftest", "--tb=line", "--assert=plain", "-p", "no:cacheprovider"]
SLACK = 10.0  # seconds of processor time beyond five times what the tests take
NEVER = 300  # seconds by the clock after which a mutant is stopped, whatever it waits for
LOG = "tests.log"
Outcome = dict[str, Any]


def modules() -> list[str]:
    """List the modules that hold code, as ``losses/pairs``."""
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    names = [file.relative_to(ROOT / PACKAGE).with_suffix("").as_posix() for file in files]
    return [name for name in names if not name.endswith("__init__")]


def digest(module: str) -> str:
    """Tell one state of a module from another."""
    return hashlib.sha256((ROOT / PACKAGE / f"{module}.py").read_bytes()).hexdigest()[:12]


def tests_of(module: str, root: Path) -> tuple[list[str], list[str]]:
    """Return the tests that a mutant of a module meets first, and those it meets if it lives."""
    names = [OWN.get(part, part) for part in module.split("/")]
    own = [f"tests/test_{name}.py" for name in names if (root / f"tests/test_{name}.py").is_file()]
    return [f"{PACKAGE}/{module}.py", *own, *CASES], [t for t in WIDER if t not in own]


class OfModule:
    """A plugin of pytest: of the cases in contract and parity, only those of one module."""

    def __init__(self, module: str) -> None:
        self.module = f"{PACKAGE}/{module}".replace("/", ".")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave out what tests another module; what ``checks`` refuses, any case shows."""
        items[:] = [item for item in items if self.concerns(item)]

    def concerns(self, item: Any) -> bool:
        """Whether an item is no case of the contract or of parity, or is one of this module."""
        if item.path.relative_to(Path.cwd()).as_posix() not in CASES:
            return True
        given = getattr(item, "callspec", None)
        if given is None:
            return False
        if self.module.endswith("checks"):
            return "bad_arguments" in item.name or "batch_of_none" in item.name
        case = given.params.get("case")
        functions = (
            [case.forward, case.backward, case.value] if case else [given.params["function"]]
        )
        return self.module in {getattr(function, "__module__", "") for function in functions}


def warm() -> Callable[[list[str], list[Any]], int]:
    """Import all that is slow and is never mutated, and return pytest."""
    import griffe  # noqa: F401  # loaded once for all mutants
    import hypothesis
    import hypothesis.extra.numpy
    import pytest
    import sklearn.neural_network  # noqa: F401  # the same
    import torch.optim

    torch.set_num_threads(1)
    quick = [hypothesis.Phase.explicit, hypothesis.Phase.generate]  # no search for the smallest
    hypothesis.settings.register_profile("mutants", phases=quick, database=None, derandomize=True)
    hypothesis.settings.load_profile("mutants")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    gc.freeze()
    return pytest.main


def forked(work: Callable[[], int], seconds: float) -> tuple[int, float]:
    """Run in a child process; return its status (negative: a signal) and its processor time."""
    child = os.fork()
    if child == 0:
        signal.alarm(NEVER)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        status = 70
        try:
            status = int(work())
        finally:
            os._exit(status)
    _, status, used = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def outcomes(module: str, report: Callable[[str], None] = print) -> Outcome:
    """Try every mutant of a module of the tree in the current folder."""
    path, root = Path(PACKAGE) / f"{module}.py", Path.cwd()
    source = path.read_text(encoding="utf-8")
    pytest, limits = warm(), []
    stages = [tests for tests in tests_of(module, root) if tests]

    def run(tests: list[str], seconds: float) -> tuple[int, float]:
        return forked(lambda: pytest([*OPTIONS, *tests], [OfModule(module)]), seconds)

    for tests in stages:
        run(tests, NEVER)  # writes bytecode
        status, seconds = run(tests, NEVER)
        if status != 0:
            told = Path(LOG).read_text(encoding="utf-8")
            raise SystemExit(f"{module}: the tests fail without any mistake ({status})\n{told}")
        limits.append(5 * seconds + SLACK)
    sys.dont_write_bytecode = True
    found: Outcome = {"mutants": 0, "killed": 0, "timeouts": 0, "survivors": []}
    for number, mutant in enumerate(mutants(source), start=1):
        plant(path, mutant, number)
        stopped = 0
        for tests, limit in zip(stages, limits, strict=True):
            stopped = run(tests, limit)[0]
            if stopped:
                break
        count(found, module, mutant, stopped)
        report(f"{number}: {mutant.name.partition(chr(10))[0]}: {stopped or 'lives'}")
    path.write_text(source, encoding="utf-8")
    return found


def plant(path: Path, mutant: Mutant, number: int) -> None:
    """Write a mutant, with a time by which Python sees that no bytecode is of it."""
    path.write_text(mutant.source, encoding="utf-8")
    os.utime(path, (2**31 + number,) * 2)


def count(found: Outcome, module: str, mutant: Mutant, stopped: int) -> None:
    """Add what became of one mutant."""
    found["mutants"] += 1
    found["killed"] += stopped != 0
    found["timeouts"] += stopped < 0
    if not stopped:
        reason = REASONS.get(module, {}).get(mutant.name, "")
        found["survivors"].append({"line": mutant.line, "mutant": mutant.name, "reason": reason})


def measure(module: str, root: Path = ROOT) -> Outcome:
    """Try every mutant of a module in a copy of the tree and in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            if (root / name).is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(root / name, Path(folder) / name, ignore=ignore)
            else:
                shutil.copy(root / name, folder)
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.mutants", module],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": folder},
            check=True,
        )
        found: Outcome = json.loads((Path(folder) / "outcome.json").read_text(encoding="utf-8"))
        return found


def still_true(folder: Path = RESULTS) -> dict[str, Outcome]:
    """Return what was recorded of modules that have not changed since."""
    path = folder / "mutants.json"
    known = (
        json.loads(path.read_text(encoding="utf-8"))["values"]["modules"] if path.is_file() else {}
    )
    return {m: o for m, o in known.items() if m in modules() and o["digest"] == digest(m)}


def summary(covered: dict[str, Outcome]) -> Outcome:
    """Add the modules up, and say which are missing."""
    total, killed = (sum(o[key] for o in covered.values()) for key in ("mutants", "killed"))
    return {
        "mutants": total,
        "killed": killed,
        "share_killed": round(killed / total, 4) if total else 0.0,
        "without_reason": sum(not s["reason"] for o in covered.values() for s in o["survivors"]),
        "modules_not_covered": [module for module in modules() if module not in covered],
        "modules": dict(sorted(covered.items())),
    }


def broken_promises(values: Outcome) -> list[str]:
    """Say which promises about mutants do not hold."""
    broken = [
        f"{module}: {o['killed']} of {o['mutants']} mutants killed, not {KILLED:.0%}"
        for module, o in values["modules"].items()
        if o["killed"] < KILLED * o["mutants"]
    ]
    if values["without_reason"]:
        broken.append(f"{values['without_reason']} survivors without a reason")
    return broken


def main(chosen: list[str]) -> list[str]:
    """Measure the chosen modules, else all; record each when it is done; return what is broken."""
    covered = still_true()
    for module in chosen or modules():
        start, state = time.monotonic(), digest(module)
        covered[module] = {"digest": state, **measure(module)}
        minutes = (time.monotonic() - start) / 60
        record("mutants", COMMAND, summary(covered))
        found = covered[module]
        Console().print(f"{module}: {found['killed']} of {found['mutants']}, {minutes:.1f} minutes")
    return broken_promises(summary(covered))


if __name__ == "__main__":
    Path("outcome.json").write_text(json.dumps(outcomes(sys.argv[1])), encoding="utf-8")
