"""Plant small mistakes in dlbook/scratch, one at a time, and count those that the tests notice.

cosmic-ray makes the mistakes (``mutation.py``) and does not run them: its runner starts Python and
imports PyTorch anew for each, which took 2.8 s of processor time a mutant of ``linear``, against
0.6 s here, where a process that has imported NumPy, PyTorch and pytest forks. It runs in a copy of
the tree, so the working tree never holds a mistake.

A mutant meets the tests of its own module: ``tests/test_<name>.py``, its doctests, its cases in the
contract and in the parity with PyTorch. The first failure ends it; so does processor time, where it
made a loop endless. A mutant with a reason to live counts as alive and is not tried.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks.mutation import Mutant, mutants
from tests.benchmarks.recording import RESULTS, record
from tests.benchmarks.survivors import (
    PACKAGE,
    REASONS,
    ROOT,
    Outcome,
    broken_promises,
    changed_since,
    digest,
    recorded,
    summary,
)

COMMAND = "python3 run.py thorough -- mutants"
COPIED = ("dlbook", "tests", "pyproject.toml")
CASES = ("tests/test_contract.py", "tests/test_parity.py")
OWN = {"clipping": "optimizers", "updates": "optimizers", "rates": "training"}
OWN |= {"pooling": "convolution", "blocks": "optimizers", "evaluation": "training"}
OWN |= {"penalties": "normalization", "checks": "linear", "base": "state"}
OPTIONS = ["-x", "-q", "--noconftest", "--tb=line", "--assert=plain", "-p", "no:cacheprovider"]
OPTIONS += ["-p", "no:logging", "-o", "faulthandler_timeout=0"]
SLACK = 10.0  # seconds of processor time beyond five times what the tests take
NEVER = 300  # seconds by the clock after which a mutant is stopped, whatever it waits for
LOG, TURNS, LOADED = Path("tests.log"), Path("turns.json"), Path("loaded.json")
NOTHING: Outcome = {"mutants": 0, "killed": 0, "timeouts": 0, "survivors": []}


def tests_of(module: str, root: Path) -> list[str]:
    """Return the tests that a mutant of a module meets."""
    names = [name for part in module.split("/") for name in (part, OWN.get(part, "")) if name]
    own = [f"tests/test_{name}.py" for name in names if (root / f"tests/test_{name}.py").is_file()]
    return [f"{PACKAGE}/{module}.py", *own, *CASES]


class OfModule:
    """A plugin of pytest: of the cases in contract and parity, only those of one module.

    Tests that have caught most mistakes come first, then the quickest.
    """

    def __init__(self, module: str) -> None:
        self.module = f"{PACKAGE}/{module}".replace("/", ".")
        self.turn: dict[str, float] = json.loads(TURNS.read_bytes()) if TURNS.is_file() else {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note how long a test takes, or that it has caught a mistake."""
        turn = self.turn.get(report.nodeid, 0)
        if report.failed:
            self.turn[report.nodeid] = min(turn, 0) - 1
        elif turn >= 0:
            self.turn[report.nodeid] = max(turn, report.duration)

    def pytest_sessionfinish(self) -> None:
        """Keep that for the next mutant, and what the tests import, to be imported once for all."""
        TURNS.write_text(json.dumps(self.turn), encoding="utf-8")
        own = ("dlbook", "tests", "__main__")
        LOADED.write_text(json.dumps([name for name in sys.modules if not name.startswith(own)]))

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave out what tests another module; what ``checks`` refuses, any case shows."""
        items[:] = [item for item in items if self.concerns(item)]
        items.sort(key=lambda item: self.turn.get(item.nodeid, 0))

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
    """Import what is slow and is never mutated, and return pytest."""
    import hypothesis
    import pytest
    import torch.optim

    torch.set_num_threads(1)
    quick = [hypothesis.Phase.explicit, hypothesis.Phase.generate]  # no search for the smallest
    hypothesis.settings.register_profile("mutants", phases=quick, database=None, derandomize=True)
    hypothesis.settings.load_profile("mutants")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
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


def outcomes(module: str, lived: list[str], report: Callable[[str], None] = print) -> Outcome:
    """Try the mutants of a module of the tree in the current folder: all, or those that lived."""
    source = (path := Path(PACKAGE) / f"{module}.py").read_text(encoding="utf-8")
    pytest, tests, reasons = warm(), tests_of(module, Path.cwd()), REASONS.get(module, {})

    def run(seconds: float) -> tuple[int, float]:
        return forked(lambda: pytest([*OPTIONS, *tests], [OfModule(module)]), seconds)

    status, seconds = run(NEVER)
    if status != 0:
        told = LOG.read_text(encoding="utf-8")
        raise SystemExit(f"{module}: the tests fail without any mistake ({status})\n{told}")
    tests = [file for file in tests if any(file in test for test in json.loads(TURNS.read_bytes()))]
    for name in json.loads(LOADED.read_bytes()):
        with suppress(Exception):  # what cannot be imported by its name alone
            import_module(name)
    gc.freeze()
    sys.dont_write_bytecode = True
    found: Outcome = {**NOTHING, "survivors": []}
    for number, mutant in enumerate(mutants(source), start=1):
        if not lived or mutant.name in lived:
            plant(path, mutant, number)
            stopped = 0 if mutant.name in reasons else run(5 * seconds + SLACK)[0]
            report(f"{number}: {mutant.name}: {stopped or 'lives'}")
            count(found, mutant, stopped)
    path.write_text(source, encoding="utf-8")
    return found


def plant(path: Path, mutant: Mutant, number: int) -> None:
    """Write a mutant, with a time by which Python sees that no bytecode is of it."""
    path.write_text(mutant.source, encoding="utf-8")
    os.utime(path, (2**31 + number,) * 2)


def count(found: Outcome, mutant: Mutant, stopped: int) -> None:
    """Add what became of one mutant."""
    found["mutants"] += 1
    found["killed"] += stopped != 0
    found["timeouts"] += stopped < 0
    if not stopped:
        found["survivors"].append({"line": mutant.line, "mutant": mutant.name})


def measure(module: str, lived: list[str], root: Path = ROOT) -> Outcome:
    """Try mutants of a module in a copy of the tree and in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            if (root / name).is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(root / name, Path(folder) / name, ignore=ignore)
            else:
                shutil.copy(root / name, folder)
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.mutants", module, *lived],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": folder},
            check=True,
        )
        found: Outcome = json.loads((Path(folder) / "outcome.json").read_text(encoding="utf-8"))
        return found


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other process records, and keep others waiting."""
    folder = os.open(RESULTS, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def main(chosen: list[str], *, again: bool = False) -> list[str]:
    """Try the modules chosen, else those changed since; record each; return what is broken.

    ``again`` tries of unchanged modules only what lived, such as after a test was added.
    """
    known = recorded()
    changed = changed_since(known)
    for module in chosen or (list(known) if again else changed):
        start, state = time.monotonic(), digest(module)
        before = known[module] if again and module not in changed else NOTHING
        lived = [survivor["mutant"] for survivor in before["survivors"]]
        if before is NOTHING or lived:
            found = {"digest": state, **added(before, measure(module, lived))}
            with alone():
                record("mutants", COMMAND, summary({**recorded(), module: found}))
            took = f"{(time.monotonic() - start) / 60:.1f} minutes"
            Console().print(f"{module}: {found['killed']} of {found['mutants']}, {took}")
    with alone():
        record("mutants", COMMAND, summary(recorded()))  # reasons may have been given since
    return broken_promises(summary(recorded()))


def added(before: Outcome, found: Outcome) -> Outcome:
    """Add what a second try killed to the first one's count."""
    total = before["mutants"] or found["mutants"]
    sums = {key: before[key] + found[key] for key in ("killed", "timeouts")}
    return {"mutants": total, **sums, "survivors": found["survivors"]}


if __name__ == "__main__":
    Path("outcome.json").write_text(json.dumps(outcomes(sys.argv[1], sys.argv[2:])), "utf-8")
