"""What is run both by one process and by several: each case returns plain values to compare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from dlbook.pytorch import evaluate, fit, make_loader
from dlbook.pytorch.checkpoints import Checkpoints
from dlbook.pytorch.data import Loader
from dlbook.pytorch.distributed import (
    any_process,
    from_first,
    gather_to_first,
    launched,
    parallel,
    process_count,
    rank,
    share_out,
    sum_over_processes,
    synchronized,
)
from dlbook.pytorch.sharding import shard

Results = dict[str, Any]

N, BATCH = 22, 7  # batches of 7, 7, 7 and 1: the last leaves all processes but one without a share
STEPS = 20
CPU = torch.device("cpu")


def data(n: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)), rng.integers(3, size=n)


def loader(n: int = N, batch: int = BATCH, seed: int = 0, **options: Any) -> Loader:
    return make_loader(
        *data(n, seed), batch_size=batch, generator=torch.Generator().manual_seed(seed), **options
    )


def held_out() -> Loader:
    return make_loader(*data(13, 1), batch_size=6)  # batches of 6, 6 and 1


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.02)


def trained(
    *,
    model: nn.Module | None = None,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] = sgd,
    schedule: bool = False,
    batches: Loader | None = None,
    loss: nn.Module | None = None,
    steps_an_epoch: int = 4,
    epochs: int | None = None,
    **options: Any,
) -> Results:
    """Train for 20 steps; return parameters and history."""
    model = model or network()
    made = optimizer(model)
    halving = torch.optim.lr_scheduler.StepLR(made, step_size=6, gamma=0.5) if schedule else None
    history = fit(
        model,
        loss or nn.CrossEntropyLoss(),
        made,
        batches or loader(),
        epochs=epochs or STEPS // steps_an_epoch,
        device=CPU,
        progress=False,
        schedule=halving,
        **options,
    )
    return {
        "parameters": [whole(p) for p in model.parameters()],
        "history": [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs],
        "rate": made.param_groups[0]["lr"],
    }


def whole(parameter: Tensor) -> Tensor:
    """Return all of a parameter, wherever its parts are."""
    full = parameter.full_tensor() if hasattr(parameter, "full_tensor") else parameter
    return full.detach().clone()


def images() -> Results:
    X, y = data(N, 0)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 5, 1)), nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten()
    ).append(nn.Linear(20, 3))
    generator = torch.Generator().manual_seed(0)
    return trained(
        model=model.double(), batches=make_loader(X, y, batch_size=BATCH, generator=generator)
    )


def regression() -> Results:
    X, _ = data(N, 0)
    Y = np.stack([X.sum(axis=1), X.prod(axis=1)], axis=1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    generator = torch.Generator().manual_seed(0)
    batches = make_loader(X, Y, batch_size=BATCH, generator=generator)
    return trained(model=model, batches=batches, loss=nn.MSELoss(), optimizer=adam)


def measured() -> Results:
    """Measure an untrained network."""
    return {"history": [evaluate(network(), nn.CrossEntropyLoss(), held_out(), device=CPU)]}


EQUAL: dict[str, Callable[[], Results]] = {
    "plain": trained,
    "adam": lambda: trained(optimizer=adam),
    "accumulated": lambda: trained(accumulate=2, steps_an_epoch=2),
    "clipped": lambda: trained(max_norm=0.2),
    "scheduled": lambda: trained(schedule=True),
    "all at once": lambda: trained(
        optimizer=adam, accumulate=3, steps_an_epoch=2, max_norm=0.2, schedule=True
    ),
    "validated": lambda: trained(validation=held_out()),
    "stopped early": lambda: trained(validation=held_out(), patience=1),
    "left-out rest": lambda: trained(batches=loader(N, 7, drop_last=True), steps_an_epoch=3),
    "images": images,
    "regression": regression,
    "evaluated": measured,
}

SHARDED: dict[str, Callable[[], Results]] = {
    "plain": lambda: trained(model=shard(network(rank()))),
    "accumulated and clipped": lambda: trained(
        model=shard(network(rank())), optimizer=adam, accumulate=2, steps_an_epoch=2, max_norm=0.2
    ),
    "validated": lambda: trained(
        model=shard(network(rank())), validation=held_out(), patience=2, schedule=True
    ),
}


class Shifted(nn.Module):
    """A network with a buffer that counts."""

    shift: Tensor

    def __init__(self, shift: float, seed: int) -> None:
        super().__init__()
        self.inner = network(seed)
        self.register_buffer("shift", torch.tensor([shift], dtype=torch.float64))

    def forward(self, X: Tensor) -> Tensor:
        Z: Tensor = self.inner(X + self.shift)
        return Z


def different_starts() -> Results:
    """Train networks that begin otherwise in each process, from loaders in another order."""
    return trained(model=Shifted(1.0 + rank(), seed=rank()), batches=loader(seed=0))


def different_orders() -> Results:
    """Train with a shuffle that each process seeded by itself."""
    X, y = data(N, 0)
    generator = torch.Generator().manual_seed(rank())
    return trained(batches=make_loader(X, y, batch_size=BATCH, generator=generator))


def padded() -> Results:
    """Measure as is often done: shares of one length, each process's mean counted alike."""
    X, y = map(torch.tensor, data(13, 1))
    dataset = TensorDataset(X, y)
    sampler: DistributedSampler[Any] = DistributedSampler(dataset, shuffle=False)
    model, loss = network(), nn.CrossEntropyLoss(reduction="sum")
    total, seen = torch.zeros((), dtype=torch.float64), torch.tensor(0)
    with torch.no_grad():
        for x, t in DataLoader(dataset, batch_size=6, sampler=sampler):
            total += loss(model(x), t)
            seen += len(t)
    everyone = sum_over_processes(seen).item()
    return {"loss": sum_over_processes(total).item() / everyone, "seen": everyone}


def refused(attempt: Callable[[], object]) -> str:
    """Return the message with which something is refused."""
    try:
        attempt()
    except ValueError as error:
        return str(error)
    return "not refused"


def foreign() -> DataLoader[Any]:
    X, y = map(torch.tensor, data(N, 0))
    return DataLoader(TensorDataset(X, y), batch_size=BATCH, shuffle=True)


WRAPPED: dict[str, Callable[[nn.Module], Any]] = {
    "parallel": parallel,
    "compiled": lambda model: torch.compile(parallel(model), backend="eager"),
    "sharded": shard,
}


def gradients(wrap: Callable[[nn.Module], Any]) -> list[list[Tensor]]:
    """Return gradients after the first batch of a step and after its last."""
    model = network()
    wrapped = wrap(model)
    X, y = map(torch.tensor, data(N, 0))
    seen = []
    for last, rows in ((False, slice(rank(), 10, process_count())), (True, slice(10, N))):
        with synchronized(wrapped, last=last):
            torch.autograd.backward(nn.functional.cross_entropy(wrapped(X[rows]), y[rows]))
        seen.append([whole(p.grad) for p in model.parameters() if p.grad is not None])
    return seen


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    return model


def held() -> tuple[int, int]:
    """Return how many numbers this process holds of a distributed network, and of how many."""
    model = shard(nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.ModuleList([nn.Linear(128, 9)])))
    parts = [p.to_local().numel() for p in model.parameters()]  # type: ignore[attr-defined]
    return sum(parts), sum(p.numel() for p in model.parameters())


def gone_on(folder: Path) -> Results:
    """Train a distributed network in two parts, with a checkpoint between them."""
    for epochs in (2, 5):
        result = trained(
            model=shard(network(rank())),
            optimizer=adam,
            epochs=epochs,
            validation=held_out(),
            patience=5,
            checkpoints=Checkpoints(folder, every=3, resume=True),
        )
    return result


def normalized(share: Callable[[nn.Module], nn.Module]) -> Results:
    """Train with batch normalization: shares are normalized apart, all end with one network."""
    model = share(batch_normalized())
    result = trained(model=model, batches=loader(batch=11), validation=held_out(), epochs=3)
    return result | {"state": {name: whole(part) for name, part in model.state_dict().items()}}


def batch_normalized() -> nn.Module:
    return network().insert(1, nn.BatchNorm1d(8).double())


def unequal(folder: Path) -> Results:
    """What differs, or is refused, where there are several processes."""
    model = network()
    loss = nn.CrossEntropyLoss()
    return {
        "gone on": gone_on(folder),
        "launched": launched(),
        "threads": torch.get_num_threads(),
        "sum": sum_over_processes(torch.tensor([1.0 + rank()])).item(),
        "any": (any_process(rank() == 1), any_process(False)),
        "first": from_first({"rank": rank()}),
        "gathered": gather_to_first(10 * rank()),
        "different starts": different_starts(),
        "different orders": different_orders(),
        "shares": [list(rows) for rows in share_out(loader()) or []],
        "padded": padded(),
        "normalized": {"parallel": normalized(lambda model: model), "shard": normalized(shard)},
        "foreign loader": refused(lambda: trained(batches=foreign())),
        "foreign validation": refused(lambda: evaluate(model, loss, foreign(), device=CPU)),
        "other data": refused(lambda: share_out(loader(n=N + rank()))),
        "tied": refused(lambda: shard(tied())),
        "gradients": {name: gradients(wrap) for name, wrap in WRAPPED.items()},
        "held": held(),
    }


def everything(device: torch.device, folder: Path) -> Results:
    """Run all cases in one process of a group."""
    return {
        "device": str(device),
        "equal": {name: case() for name, case in EQUAL.items()},
        "sharded": {name: case() for name, case in SHARDED.items()},
        "unequal": unequal(folder),
    }
