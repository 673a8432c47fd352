"""What the PyTorch half costs: ``fit`` beside a bare loop, three ways to batches, two processes.

Contenders take turns on the CPU. In the first two parts they run on one thread; in the third each
turn is a process, or two, of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import track
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pytorch import MLP, fit, make_loader
from dlbook.pytorch.data import Batch
from dlbook.pytorch.resident import DeviceBatches
from tests.benchmarks.recording import record
from tests.benchmarks.timing import in_turn, ratio, turn

COMMAND = "python3 run.py bench"
SIZES = (784, 512, 256, 10)
BATCH = 256
STEPS = 234  # an epoch of 60,000 images
ROUNDS = 15
LIMIT = 1.05
OPTIMIZERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "sgd": lambda model: torch.optim.SGD(model.parameters(), 1e-2, momentum=0.9),
    "adam": lambda model: torch.optim.Adam(model.parameters(), 1e-3),
}
DATA = {"digits": (64, 32), "large": (784, 256)}  # features, batch size
BATCHES = {"small": 256, "large": 2048}  # over all processes
LAUNCHES = {"one_thread": (1, 1), "two_threads": (1, 2), "two_processes": (2, 1)}

Contender = Callable[[], Any]


def examples(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)).astype(np.float32), rng.integers(0, SIZES[-1], n)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def by_fit(optimizer: str, loader: Iterable[Batch]) -> Callable[[], Tensor]:
    """One epoch of ``fit``; returns the parameters after it."""
    model, loss = MLP(SIZES, generator=seeded()), nn.CrossEntropyLoss()
    steps = OPTIMIZERS[optimizer](model)
    options: Any = {"epochs": 1, "device": "cpu", "progress": False}

    def epoch() -> Tensor:
        fit(model, loss, steps, loader, **options)
        return nn.utils.parameters_to_vector(model.parameters())

    return epoch


def bare(optimizer: str, loader: Iterable[Batch]) -> Callable[[], Tensor]:
    """The same steps by the five lines that every tutorial shows, which measure nothing."""
    model, loss_function = MLP(SIZES, generator=seeded()), nn.CrossEntropyLoss()
    steps = OPTIMIZERS[optimizer](model)

    def epoch() -> Tensor:
        model.train()
        for X, y in loader:
            steps.zero_grad()
            loss = loss_function(model(X), y)
            loss.backward()
            steps.step()
        return nn.utils.parameters_to_vector(model.parameters())

    return epoch


def loop(optimizer: str, rounds: int, steps: int) -> dict[str, Any]:
    """Time a step of ``fit`` and of the bare loop, in microseconds."""
    X, y = examples(steps * BATCH, SIZES[0])
    contenders: dict[str, Contender] = {
        name: make(optimizer, make_loader(X, y, batch_size=BATCH, generator=seeded()))
        for name, make in (("fit", by_fit), ("bare", bare))
    }
    times = in_turn(contenders, rounds)
    more = [(a - b) / steps for a, b in zip(times["fit"], times["bare"], strict=True)]
    return {
        "microseconds": {name: micro(t, steps) for name, t in times.items()},
        "more": round(1e6 * statistics.median(more)),
        "ratio": ratio(times["fit"], times["bare"]),
    }


def ways(d: int, batch_size: int, steps: int) -> dict[str, Iterable[Any]]:
    """Return three things to iterate over, for the same data in shuffled batches."""
    X, y = examples(steps * batch_size, d)
    tensors = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    return {
        "samples": DataLoader(tensors, batch_size, shuffle=True),
        "loader": make_loader(X, y, batch_size=batch_size, generator=seeded()),
        "resident": DeviceBatches(X, y, batch_size, device="cpu", generator=seeded()),
    }


def batches(d: int, batch_size: int, rounds: int, steps: int) -> dict[str, Any]:
    """Time the batches alone, without a network that would learn from them."""
    contenders = {name: exhaust(batches) for name, batches in ways(d, batch_size, steps).items()}
    times = in_turn(contenders, rounds)
    return {
        "microseconds": {name: micro(t, steps) for name, t in times.items()},
        "per_second": {name: round(steps / statistics.median(t)) for name, t in times.items()},
        "ratios": {
            "loader": ratio(times["samples"], times["loader"]),
            "resident": ratio(times["loader"], times["resident"]),
        },
    }


def exhaust(batches: Iterable[Any]) -> Contender:
    def epoch() -> None:
        for _ in batches:
            pass

    return epoch


def micro(seconds: list[float], steps: int) -> float:
    return round(1e6 * statistics.median(seconds) / steps, 1)


def processes(batch_size: int, rounds: int, steps: int) -> dict[str, Any]:
    """Time a step of ``fit`` by one process on one and two threads, and by two on one each."""
    times: dict[str, list[float]] = {name: [] for name in LAUNCHES}
    exchange = []
    for number in range(rounds):
        for name in turn(list(LAUNCHES), number):
            step, reduced = launch(*LAUNCHES[name], batch_size, steps)
            times[name].append(step)
            if name == "two_processes":
                exchange.append(reduced)
    return {
        "batch_size": batch_size,
        "milliseconds": {
            **{name: round(1e3 * statistics.median(t), 2) for name, t in times.items()},
            "exchange": round(1e3 * statistics.median(exchange), 2),
        },
        "ratios": {
            name: ratio(times["two_processes"], times[name])
            for name in ("one_thread", "two_threads")
        },
    }


def launch(count: int, threads: int, batch_size: int, steps: int) -> tuple[float, float]:
    """Train in fresh processes; return seconds a step, and seconds to add up the gradients once."""
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    part = ["-m", "tests.benchmarks.pytorch_speed", "--part", f"{batch_size},{steps}"]
    done = subprocess.run(
        [sys.executable, *start, *part],
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{count} processes did not end well: {done.stderr[-2000:]}")
    step, exchange = map(float, done.stdout.split())
    return step, exchange


def part(batch_size: int, steps: int) -> None:
    """Be one of the processes that ``launch`` starts; the first prints what it measured."""
    dist.init_process_group("gloo")
    X, y = examples(steps * batch_size, SIZES[0])
    model = MLP(SIZES, generator=seeded())
    history = fit(
        model,
        nn.CrossEntropyLoss(),
        OPTIMIZERS["sgd"](model),
        make_loader(X, y, batch_size=batch_size, generator=seeded()),
        epochs=4,
        device="cpu",
        progress=False,
    )
    gradients = torch.ones(sum(p.numel() for p in model.parameters()))
    exchange = []
    for _ in range(20):
        dist.barrier()
        start = perf_counter()
        dist.all_reduce(gradients)
        exchange.append(perf_counter() - start)
        gradients /= dist.get_world_size()
    if dist.get_rank() == 0:
        seconds = statistics.median(history["seconds"][1:]) / steps
        Console(soft_wrap=True).print(seconds, statistics.median(exchange))
    dist.destroy_process_group()


def missed(loops: dict[str, Any]) -> list[str]:
    """Say which of the promises on ``fit`` the measured ratios do not keep."""
    return [
        f"fit with {name}: {cell['ratio']:.3f} times the bare loop's time, more than {LIMIT}"
        for name, cell in loops.items()
        if cell["ratio"] > LIMIT
    ]


def show(values: dict[str, Any]) -> None:
    """Print the ratios as a table."""
    table = Table("what", "against", "ratio", title="the PyTorch half: time over time")
    for name, cell in values["loop"].items():
        table.add_row(f"fit, {name}", "bare loop", f"{cell['ratio']:.3f}")
    for name, cell in values["batches"].items():
        table.add_row(f"sample by sample, {name}", "make_loader", f"{cell['ratios']['loader']:.2f}")
        table.add_row(f"make_loader, {name}", "resident", f"{cell['ratios']['resident']:.2f}")
    for name, cell in values["processes"].items():
        for other, found in cell["ratios"].items():
            table.add_row(f"two processes, {name} batch", other, f"{found:.2f}")
    Console().print(table)
    Console().print(*values["missed"], sep="\n", soft_wrap=True)


def main() -> None:
    """Measure, show and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one round, not recorded")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        return part(*map(int, chosen.part.split(",")))
    rounds, steps = (1, 5) if chosen.quick else (ROUNDS, STEPS)
    bar = Console(stderr=True)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        loops = {name: loop(name, rounds, steps) for name in track(OPTIMIZERS, "fit", console=bar)}
        shares = {
            name: batches(*of, rounds, steps)
            for name, of in track(DATA.items(), "batches", console=bar)
        }
    load = round(os.getloadavg()[1], 1)  # processes that wanted a core, over five minutes
    together = {
        name: processes(size, (rounds + 2) // 3, max(5, steps // 4))
        for name, size in track(BATCHES.items(), "processes", console=bar)
    }
    values: dict[str, Any] = {
        "network": "-".join(map(str, SIZES)),
        "rounds": rounds,
        "load": load,
        "missed": missed(loops),
        "loop": loops,
        "batches": shares,
        "processes": together,
    }
    show(values)
    if not chosen.quick:
        record("pytorch", COMMAND, values)
    return None


if __name__ == "__main__":
    main()
