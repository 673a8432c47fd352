"""Starts processes that train together, as torchrun would, but from one that has loaded PyTorch."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

PRELOADED = ["tests.processes.cases", "torch.distributed.fsdp", "torch._dynamo"]
PATIENCE = 220.0  # seconds; a group that hangs fails, instead of holding up the suite

Work = Callable[[torch.device], Any]


def together(world: int, work: Work, folder: Path) -> list[Any]:
    """Run a function in each process of a group; return what each returned, by rank."""
    statuses, errors = endings(world, work, folder)
    assert statuses == [0] * world, f"the processes ended with {statuses}:\n{errors}"
    return [torch.load(_result(folder, rank), weights_only=True) for rank in range(world)]


def endings(
    world: int, work: Work, folder: Path, timeout: float = 200.0
) -> tuple[list[int | None], str]:
    """Run a function in each process of a group; return their statuses and standard error.

    When one fails the others get SIGTERM, as from torchrun.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # 0: any free port
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    processes = [
        context.Process(target=_member, args=(rank, world, store.port, work, folder, timeout))
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    running, told = list(processes), False
    try:
        while running and wait([process.sentinel for process in running], PATIENCE):
            failed = any(process.exitcode for process in running)
            running = [process for process in running if process.exitcode is None]
            if failed and not told:
                told = True
                for process in running:
                    process.terminate()
    finally:
        for process in processes:
            process.kill()
            process.join()
    errors = "".join(_errors(folder, rank).read_text() for rank in range(world))
    return [process.exitcode for process in processes], errors


def environment(rank: int, world: int, port: int) -> dict[str, str]:
    """Return what torchrun puts into the environment of a process."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }


def _member(rank: int, world: int, port: int, work: Work, folder: Path, timeout: float) -> None:
    from dlbook.pytorch.distributed import process_group

    with _errors(folder, rank).open("w") as file:
        os.dup2(file.fileno(), 2)
    os.environ.update(environment(rank, world, port))
    os.environ["TORCHELASTIC_ERROR_FILE"] = str(summary_of(folder, rank))
    with process_group("cpu", timeout=timeout) as device:
        torch.save(work(device), _result(folder, rank))


def summary_of(folder: Path, rank: int) -> Path:
    """Return the file from which torchrun would take the reason why a process failed."""
    return folder / f"{rank}.json"


def _result(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.pt"


def _errors(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.err"
