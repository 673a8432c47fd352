"""Starts processes that train together, as torchrun would, but from one that has loaded PyTorch."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore

PATIENCE = 300.0  # seconds; a group that hangs fails, instead of holding up the suite


def together(
    world: int, work: Callable[[torch.device], Any], folder: Path, timeout: float = 60.0
) -> list[Any]:
    """Run a function in each process of a group; return what each returned, by rank."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # 0: any free port
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.processes.cases"])
    processes = [
        context.Process(target=_member, args=(rank, world, store.port, work, folder, timeout))
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(PATIENCE)
        statuses = [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.join()
    assert statuses == [0] * world, f"the processes ended with {statuses}"
    return [torch.load(_result(folder, rank), weights_only=True) for rank in range(world)]


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


def _member(
    rank: int,
    world: int,
    port: int,
    work: Callable[[torch.device], Any],
    folder: Path,
    timeout: float,
) -> None:
    from dlbook.pytorch.distributed import process_group

    os.environ.update(environment(rank, world, port))
    with process_group("cpu", timeout=timeout) as device:
        torch.save(work(device), _result(folder, rank))


def _result(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.pt"
