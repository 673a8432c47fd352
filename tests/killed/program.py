"""A small program that trains, of which everything random must come back after an interruption."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler
from torch.utils.data import DataLoader, TensorDataset

from dlbook.history import History
from dlbook.pytorch import deterministic, fit, make_loader
from dlbook.pytorch.checkpoints import Checkpoints
from dlbook.pytorch.data import Loader
from dlbook.pytorch.distributed import rank
from dlbook.pytorch.sharding import shard
from dlbook.pytorch.state import Run
from dlbook.pytorch.whole import brought_together
from tests.on_device import DEVICE

EPOCHS = 3
STEPS = 6  # of an epoch
COSINE = partial(CosineAnnealingLR, T_max=40)
ROWS, BATCH = 90, 16  # the last batch has 10 rows
FEATURES, CLASSES = 20, 4

# Options of fit, or of the program where an underscore comes first.
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "fp16": {"amp": "fp16"},
    "accumulated": {"accumulate": 4},  # 4 and 2 batches a step
    "impatient": {"patience": 2, "epochs": 30, "_shift": 1},  # past its best after one epoch
    "shuffled validation": {"_shuffled": True},
    "others' loader": {"_loader": "generator", "_every": None},
    "others' loader, global draws": {"_loader": "global", "_every": None},
    "others' sampler": {"_loader": "sampler", "_every": None},
}


class Interrupted(Exception):  # noqa: N818  # an end, not an error
    """Where a test ends a run."""


class Interrupting(Checkpoints):
    """Checkpoints of a run that ends after some step, as if it were killed there."""

    stop: int | None = None

    def after_step(self, run: Run) -> None:
        super().after_step(run)
        if run.step == self.stop:
            raise Interrupted


def network(width: int = 32) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(FEATURES, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(width, CLASSES),
    )


def jitter(X: Tensor, generator: torch.Generator) -> Tensor:
    return X + 0.3 * torch.randn(X.shape, generator=generator)


def examples(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(rows, FEATURES, generator=generator)
    noise = 0.5 * torch.randn(rows, CLASSES, generator=generator)
    return X, (X[:, :CLASSES] + noise).argmax(dim=1)


def loader(kind: str, seed: int) -> Loader:
    X, y = examples(ROWS, seed=1)
    generator = torch.Generator().manual_seed(seed)
    dataset: TensorDataset = TensorDataset(X, y)
    if kind == "ours":
        return make_loader(X, y, batch_size=BATCH, generator=generator, augment=jitter)
    if kind == "generator":
        return DataLoader(dataset, BATCH, shuffle=True, generator=generator)
    if kind == "sampler":
        sampler = torch.utils.data.RandomSampler(dataset, generator=generator)
        return DataLoader(dataset, BATCH, sampler=sampler)
    return DataLoader(dataset, BATCH, shuffle=True)


def train(
    folder: Path | None,
    variant: str = "plain",
    *,
    seed: int = 0,
    stop: int | None = None,
    width: int = 32,
    every: int = 2,
    sharded: bool = False,
    optimizer: Callable[..., Optimizer] = Adam,
    schedule: Callable[[Optimizer], LRScheduler] = COSINE,
    **options: Any,
) -> dict[str, Any]:
    """Train, or go on training; return all that the run ended with, but the time it took."""
    options = VARIANTS[variant] | options
    kind, every_or_none = options.pop("_loader", "ours"), options.pop("_every", every)
    X, y = examples(40, seed=2)
    y = (y + options.pop("_shift", 0)) % CLASSES
    generator = torch.Generator().manual_seed(7) if options.pop("_shuffled", False) else None
    held_out = make_loader(X, y, batch_size=16, generator=generator)
    checkpoints = None
    if folder is not None:
        checkpoints = Interrupting(folder, every=every_or_none, resume=True)
        checkpoints.stop = stop
    torch.manual_seed(seed + 1000 * rank())  # each process draws its own dropout
    model = network(width).to(DEVICE)  # before the optimizer, as PyTorch asks: Adagrad needs it
    if sharded:
        shard(model)
    chosen = optimizer(model.parameters(), lr=0.02 + 0.01 * seed)
    rates = schedule(chosen)
    history = History(settings={"seed": 0})
    runs: list[Run] = []
    with deterministic(DEVICE != "cpu"):
        fit(
            model,
            nn.CrossEntropyLoss(),
            chosen,
            loader(kind, seed),
            device=DEVICE,
            validation=held_out,
            schedule=rates,
            max_norm=1.0,
            checkpoints=checkpoints,
            progress=False,
            history=history,
            callbacks=[runs.append, *options.pop("callbacks", [])],
            **({"patience": 100, "epochs": EPOCHS} | options),
        )
    rows = [{name: v for name, v in row.items() if name != "seconds"} for row in history.epochs]
    ended = {
        "model": model.state_dict(),
        "scaler": runs[-1].scaler.state_dict() if runs and runs[-1].scaler else None,
        "optimizer": chosen.state_dict(),
        "schedule": rates.state_dict(),
        "history": {"settings": history.settings, "epochs": rows},
        "next draws": [torch.rand(1), torch.rand(1, device=DEVICE)],
    }
    return dict(brought_together(ended))


def bits(value: Any) -> Any:
    """Turn what a run ended with into values that are equal only where all bits are."""
    if isinstance(value, DTensor):
        value = value.to_local()
    if isinstance(value, Tensor):
        return (str(value.dtype), tuple(value.shape), value.cpu().contiguous().numpy().tobytes())
    if isinstance(value, dict):
        return {name: bits(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [bits(part) for part in value]
    return value.hex() if isinstance(value, float) else value
