"""A job in which one process may end too early; under torchrun: dying.py HOW FOLDER."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dlbook.pytorch import fit
from dlbook.pytorch.checkpoints import Checkpoints
from dlbook.pytorch.distributed import any_process, process_group, rank
from tests.processes import cases

STEP, VICTIM = 10, 1  # which pass forward is the last of which process; there are 4 in an epoch


def train(device: torch.device, how: str, folder: Path, workers: int = 0) -> dict[str, Any]:
    """Train with dropout; on its first start one process may not come to the end."""
    torch.manual_seed(rank())
    model = cases.network().insert(1, nn.Dropout(0.2))
    if rank() == VICTIM and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        passes: list[None] = []

        def count(*_: object) -> None:
            passes.append(None)
            if len(passes) == STEP:
                end(how)

        model.register_forward_pre_hook(count)
    history = fit(
        model,
        nn.CrossEntropyLoss(),
        cases.sgd(model),
        cases.loader(workers=workers),
        epochs=5,
        device=device,
        checkpoints=Checkpoints(folder, every=3, resume=True),
        progress=False,
    )
    return {"parameters": list(model.state_dict().values()), "losses": history["train_loss"]}


def end(how: str) -> None:
    """End this process, or let it be of no use to the others."""
    match how:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "left":
            os._exit(0)
        case "failed":
            raise ArithmeticError("nothing adds up\nany more")
        case "hung":
            threading.Event().wait()
        case "terminated":
            os.kill(os.getpid(), signal.SIGTERM)


def refused(device: torch.device) -> None:
    """Ask in all processes for what cannot be."""
    cases.trained(epochs=-1)


def interrupted(device: torch.device, error: type[BaseException]) -> None:
    """Interrupt one process; the other waits for it."""
    if rank() == VICTIM:
        raise error(3)
    any_process(False)


if __name__ == "__main__":
    _, how, folder = sys.argv
    with process_group("cpu") as device:
        torch.save(train(device, how, Path(folder), workers=1), Path(folder, f"end-{rank()}"))
