"""Kills runs and goes on with them; prints as JSON what came of it.

A process of its own loads PyTorch, trains once, and forks the runs, each with one thread: so a run
costs what it computes, and no thread is lost in a fork.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist

from dlbook import files
from dlbook.pytorch.checkpoint_files import CheckpointError, read_checkpoint
from dlbook.pytorch.checkpoints import Checkpoints
from tests.killed.program import EPOCHS, STEPS, Interrupted, bits, train

STAGES = (
    "begun to write",
    "half written",
    "written, not flushed",
    "flushed, not renamed",
    "renamed",
    "about to remove an old one",
)


def forked(work: Callable[[], None]) -> int:
    """Start work in a process of its own; return its number."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def ended(pid: int) -> int:
    """Wait for a process; return its exit status, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def done(pid: int) -> None:
    """Wait for a process that must end well."""
    status = ended(pid)
    if status:
        raise RuntimeError(f"a run ended with status {status}")


def trained(result: Path, folder: Path | None, **options: Any) -> Callable[[], None]:
    """Return work that trains and writes the bits that the run ended with."""

    def work() -> None:
        content = bits(train(folder, every=1, **options))
        result.write_bytes(pickle.dumps(content))

    return work


def outcome(result: Path) -> Any:
    return pickle.loads(result.read_bytes())


def killed_in_a_write(pid: int, folder: Path, number: int) -> None:
    """Kill a process while the file that it writes has its temporary name."""
    seen: set[Path] = set()
    while running(pid):
        drafts = set(folder.glob(".step-*.tmp"))
        seen |= drafts
        if drafts and len(seen) >= number:
            os.kill(pid, signal.SIGSTOP)
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if any(draft.exists() for draft in drafts):
                os.kill(pid, signal.SIGKILL)
                return
            os.kill(pid, signal.SIGCONT)


def killed_at_any_moment(pid: int, folder: Path, progress: float) -> None:
    """Kill a process some time after a checkpoint, whatever it is doing then.

    The whole part of ``progress`` counts checkpoints; the rest is of the time that one took.
    """
    start = time.perf_counter()
    seen: set[Path] = set()
    while running(pid) and len(seen) < int(progress):
        seen |= set(folder.glob("step-*.pt"))
    pace = (time.perf_counter() - start) / max(1, len(seen))
    time.sleep(progress % 1 * pace)  # the moment itself is random: nothing is waited for
    os.kill(pid, signal.SIGKILL)


def running(pid: int) -> bool:
    """Tell whether a child lives, and leave it time to; it stays a child until ``ended`` asks."""
    time.sleep(0.0005)
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def kills(place: Path, count: int, seed: int, width: int) -> list[dict[str, Any]]:
    """Kill runs at random moments, every second one in a random write; go on with each."""
    moments = random.Random(seed)
    done(forked(trained(place / "reference", None, width=width)))
    reference = outcome(place / "reference")
    last = EPOCHS * STEPS
    found: list[dict[str, Any]] = []
    while len(found) < count:
        folder = place / "run"
        pid = forked(trained(place / "killed", folder, width=width))
        if len(found) % 2:
            killed_in_a_write(pid, folder, moments.randint(1, last))
        else:
            killed_at_any_moment(pid, folder, moments.uniform(0, last))
        if ended(pid) == -signal.SIGKILL:
            drafts = [draft.stat().st_size for draft in folder.glob(".step-*.tmp")]
            checkpoints = Checkpoints(folder).files()
            whole = max((path.stat().st_size for path in checkpoints), default=sys.maxsize)
            bad = sum(map(unsound, checkpoints))
            done(forked(trained(place / "resumed", folder, width=width)))
            found.append(
                {
                    "step": int(checkpoints[0].stem[5:]) if checkpoints else 0,
                    "unsound": bad,
                    "in a write": bool(drafts),
                    "cut short": any(size < whole for size in drafts),
                    "equal": outcome(place / "resumed") == reference,
                    "left over": len(list(folder.glob(".step-*.tmp"))),
                }
            )
        shutil.rmtree(folder, ignore_errors=True)
    return found


def unsound(path: Path) -> bool:
    try:
        read_checkpoint(path)
    except CheckpointError:
        return True
    return False


def stages(place: Path) -> dict[str, Any]:
    """Let runs kill themselves at each stage of keeping a checkpoint; go on with each."""
    done(forked(trained(place / "reference", None, epochs=1)))
    found = {}
    for stage in STAGES:
        folder = place / stage.replace(" ", "-")
        status = ended(forked(partial(suicidal, stage, folder, place / "killed")))
        after = sorted(path.name for path in folder.iterdir() if path.name != ".lock")
        bad = sum(map(unsound, Checkpoints(folder).files()))
        done(forked(trained(place / "resumed", folder, epochs=1)))
        found[stage] = {
            "status": status,
            "files": after,
            "unsound": bad,
            "equal": outcome(place / "resumed") == outcome(place / "reference"),
            "left over": len(list(folder.glob(".step-*.tmp"))),
        }
    return found


def suicidal(stage: str, folder: Path, result: Path) -> None:
    """Train; while keeping the run after step 5, at the given stage, die."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def due(path: Path) -> bool:
        return "00000005" in path.name

    opened, flushed, replaced, removed = Path.open, os.fsync, Path.replace, Path.unlink

    def open_(self: Path, *arguments: Any, **options: Any) -> Any:
        file = opened(self, *arguments, **options)
        if due(self) and self.suffix == ".tmp":
            if stage == "begun to write":
                die()
            if stage == "half written":
                file.write(b"half")
                file.flush()
                die()
        return file

    def fsync(descriptor: int) -> None:
        draft = any(map(due, folder.glob(".step-*.tmp")))
        if draft and stage == "written, not flushed":
            die()
        flushed(descriptor)
        if draft and stage == "flushed, not renamed":
            die()

    def replace(self: Path, target: Path) -> Any:
        answer = replaced(self, target)
        if due(target) and stage == "renamed":
            die()
        return answer

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if stage == STAGES[-1] and (folder / "step-00000005.pt").exists():
            die()
        removed(self, missing_ok=missing_ok)

    Path.open, Path.replace, Path.unlink = open_, replace, unlink  # type: ignore[method-assign, assignment]
    files.os.fsync = fsync  # type: ignore[attr-defined]
    trained(result, folder, epochs=1)()


def group(place: Path, world: int, sharded: bool = False) -> dict[str, Any]:
    """Interrupt a group after step 7; go on with as many, with one, and where no file is sound."""

    def start(name: str, folder: Path | None, processes: int, **options: Any) -> list[int]:
        options |= {"epochs": 2, "sharded": sharded}
        store = place / f"store-{name}"

        def member(rank: int) -> Callable[[], None]:
            def work() -> None:
                dist.init_process_group(
                    "gloo",
                    init_method=f"file://{store}",
                    rank=rank,
                    world_size=processes,
                    timeout=timedelta(seconds=60),  # one that waits for another that failed
                )
                try:
                    trained(place / f"{name}-{rank}", folder, **options)()
                except Interrupted:
                    return
                except CheckpointError as error:
                    (place / f"{name}-{rank}").write_bytes(pickle.dumps(str(error)))
                finally:
                    dist.destroy_process_group()

            return work

        return [forked(member(rank)) for rank in range(processes)]

    def finish(pids: list[int]) -> list[int]:
        return [ended(pid) for pid in pids]

    folder = place / "group"
    found: dict[str, Any] = {"statuses": finish(start("reference", None, world))}
    found["statuses"] += finish(start("stopped", folder, world, stop=7))
    run = read_checkpoint(folder / "step-00000007.pt")["run"]
    found["kept"] = [len(run["processes"]), *run["model"]["0.weight"].shape]
    shutil.copytree(folder, place / "alone")
    found["statuses"] += finish(start("resumed", folder, world, seed=1))
    found["equal"] = [
        outcome(place / f"resumed-{rank}") == outcome(place / f"reference-{rank}")
        for rank in range(world)
    ]
    found["statuses"] += finish(start("alone", place / "alone", 1))
    found["epochs alone"] = len(outcome(place / "alone-0")["history"]["epochs"])
    for path in Checkpoints(folder).files():
        path.write_bytes(b"")
    found["statuses"] += finish(start("refused", folder, world))
    found["refusals"] = [outcome(place / f"refused-{rank}") for rank in range(world)]
    return found


def main(arguments: list[str]) -> None:
    """Do what is asked for, as ``kills:5:0:1024 stages group:2``, and print what came of it."""
    torch.set_num_threads(1)
    train(None, epochs=1)  # PyTorch loads a good part of itself when it is first used
    parts: dict[str, Callable[..., Any]] = {"kills": kills, "stages": stages, "group": group}
    report = {}
    for argument in arguments:
        name, *numbers = argument.split(":")
        with TemporaryDirectory() as place:
            report[argument] = parts[name](Path(place), *map(int, numbers))
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1:])
