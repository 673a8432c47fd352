"""What it costs to be watched: training loops under the doctor's eyes beside the same loops alone.

Each program is trained alone, within ``watch`` and within ``watch_everything``, taking turns on one
thread. Only the loop is timed: what the report finds out by experiments afterwards is not.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from time import perf_counter, process_time
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from dlbook.doctor import watch
from dlbook.doctor.discovery import watch_everything
from tests.benchmarks.recording import record
from tests.benchmarks.timing import ratio, turn

COMMAND = "python3 run.py bench"
ROUNDS = 5
STEPS = 300
IN_MEDIAN, AT_WORST = 1.10, 1.30
LEAST = 1.0  # milliseconds of a step that counts
CLASSES = 10
CLOCKS = {"wall": perf_counter, "cpu": process_time}

Train = Callable[[nn.Module, Optimizer, int], None]


class Program(NamedTuple):
    """A network, what trains it, and the loop."""

    network: Callable[[], nn.Module]
    optimizer: Callable[[nn.Module], Optimizer]
    train: Train


def sgd(model: nn.Module) -> Optimizer:
    return SGD(model.parameters(), 0.05, momentum=0.9)


def adam(model: nn.Module) -> Optimizer:
    return Adam(model.parameters(), 1e-3)


def adamw(model: nn.Module) -> Optimizer:
    return AdamW(model.parameters(), 1e-3)


def perceptron() -> nn.Module:
    sizes = (784, 512, 256)
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], CLASSES))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 8 * 8, CLASSES),
    )


class Recurrent(nn.Module):
    """An LSTM whose last state is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(32, 64, batch_first=True)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, X: Tensor) -> Tensor:
        """Classify sequences."""
        H, _ = self.lstm(X)
        Z: Tensor = self.head(H[:, -1])
        return Z


class Attentive(nn.Module):
    """A transformer's encoder whose mean is classified."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, X: Tensor) -> Tensor:
        """Classify sequences."""
        Z: Tensor = self.head(self.encoder(X).mean(1))
        return Z


def normalized() -> nn.Module:
    return nn.Sequential(
        nn.Linear(128, 512),
        nn.BatchNorm1d(512),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(512, 256),
        nn.BatchNorm1d(256),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(256, CLASSES),
    )


def examples(n: int, *shape: int) -> tuple[Tensor, Tensor]:
    """Draw inputs, and classes that can be learned from them."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(n, *shape, generator=generator)
    return X, X.flatten(1)[:, :CLASSES].argmax(1)


def over_parts(n: int, *shape: int, batch: int) -> Train:
    """Return a loop over parts of tensors that are all in memory."""
    X, y = examples(n, *shape)

    def train(model: nn.Module, optimizer: Optimizer, steps: int) -> None:
        loss_of = nn.CrossEntropyLoss()
        model.train()
        for i in parts(n, batch, steps):
            optimizer.zero_grad()
            loss = loss_of(model(X[i]), y[i])
            loss.backward()
            optimizer.step()

    return train


def parts(n: int, batch: int, steps: int) -> Iterator[Tensor]:
    """Yield the numbers of the examples of each batch, in a new order every time around."""
    made = 0
    while made < steps:
        for i in torch.split(torch.randperm(n), batch)[: steps - made]:
            made += 1
            yield i


def over_loaders(n: int, *shape: int, batch: int) -> Train:
    """Return a loop over a loader, with a validation after each time around."""
    X, y = examples(n + n // 5, *shape)

    def train(model: nn.Module, optimizer: Optimizer, steps: int) -> None:
        loader = DataLoader(TensorDataset(X[:n], y[:n]), batch, shuffle=True)
        held_back = DataLoader(TensorDataset(X[n:], y[n:]), batch)
        made, total = 0, 0.0
        while made < steps:
            model.train()
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = functional.cross_entropy(model(inputs), targets)
                loss.backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
                optimizer.step()
                total += loss.item()
                made += 1
                if made == steps:
                    break
            model.eval()
            with torch.no_grad():
                for inputs, targets in held_back:
                    total += functional.cross_entropy(model(inputs), targets).item()

    return train


PROGRAMS: dict[str, Callable[[], Program]] = {
    "MLP, SGD": lambda: Program(perceptron, sgd, over_parts(25_600, 784, batch=256)),
    "MLP, Adam": lambda: Program(perceptron, adam, over_parts(25_600, 784, batch=256)),
    "CNN": lambda: Program(convolutional, sgd, over_parts(3_200, 3, 32, 32, batch=64)),
    "LSTM": lambda: Program(Recurrent, adam, over_parts(3_200, 32, 32, batch=64)),
    "transformer": lambda: Program(Attentive, adamw, over_parts(3_200, 24, 64, batch=32)),
    "loaders": lambda: Program(normalized, adam, over_loaders(6_400, 128, batch=128)),
}


def alone(model: nn.Module, optimizer: Optimizer) -> AbstractContextManager[Any]:
    del model, optimizer
    return nullcontext()


def everything(model: nn.Module, optimizer: Optimizer) -> AbstractContextManager[Any]:
    del model, optimizer
    return watch_everything()


WAYS: dict[str, Callable[[nn.Module, Optimizer], AbstractContextManager[Any]]] = {
    "alone": alone,
    "watch": watch,
    "watch_everything": everything,
}


def trained(program: Program, way: str, steps: int) -> dict[str, float]:
    """Train from the same start; return seconds by clock, of the loop alone."""
    torch.manual_seed(0)
    model = program.network()
    optimizer = program.optimizer(model)
    with WAYS[way](model, optimizer):
        start = {name: clock() for name, clock in CLOCKS.items()}
        program.train(model, optimizer, steps)
        return {name: clock() - start[name] for name, clock in CLOCKS.items()}


def measure(name: str, rounds: int, steps: int) -> dict[str, Any]:
    """Time one program in all ways: milliseconds of a step, and ratios to the program alone."""
    program = PROGRAMS[name]()
    times: dict[str, dict[str, list[float]]] = {c: {way: [] for way in WAYS} for c in CLOCKS}
    for way in WAYS:
        trained(program, way, min(steps, 20))  # warms up
    for number in range(rounds):
        for way in turn(list(WAYS), number):
            for clock, seconds in trained(program, way, steps).items():
                times[clock][way].append(seconds)
    return {
        "milliseconds": {
            way: round(1e3 * statistics.median(t) / steps, 3) for way, t in times["wall"].items()
        },
        "ratios": {
            clock: {way: ratio(t[way], t["alone"]) for way in WAYS if way != "alone"}
            for clock, t in times.items()
        },
    }


def missed(programs: dict[str, Any]) -> list[str]:
    """Say which of the promises the measured ratios do not keep."""
    counted = {n: c for n, c in programs.items() if c["milliseconds"]["alone"] >= LEAST}
    complaints = [
        f"{name}: a step of {cell['milliseconds']['alone']} ms is too short to count"
        for name, cell in programs.items()
        if name not in counted
    ]
    for way in (way for way in WAYS if way != "alone"):
        ratios = {name: cell["ratios"]["wall"][way] for name, cell in counted.items()}
        middle = statistics.median(ratios.values()) if ratios else 0.0
        if middle > IN_MEDIAN:
            complaints.append(f"{way}: {middle:.3f} times in the median, more than {IN_MEDIAN}")
        complaints += [
            f"{way}, {name}: {found:.3f} times, more than {AT_WORST}"
            for name, found in ratios.items()
            if found > AT_WORST
        ]
    return complaints


def show(values: dict[str, Any]) -> None:
    """Print the ratios as a table."""
    ways = [way for way in WAYS if way != "alone"]
    heads = [f"{way}, {clock}" for clock in CLOCKS for way in ways]
    table = Table("program", "ms a step", *heads, title="watched: time over time alone")
    for name, cell in values["programs"].items():
        ratios = [f"{cell['ratios'][clock][way]:.3f}" for clock in CLOCKS for way in ways]
        table.add_row(name, f"{cell['milliseconds']['alone']:.2f}", *ratios)
    Console().print(table)
    Console().print(*values["missed"], sep="\n", soft_wrap=True)


def main() -> None:
    """Measure, show and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one round, not recorded")
    parser.add_argument("--only", choices=PROGRAMS, help="one program, not recorded")
    chosen = parser.parse_args()
    rounds = 1 if chosen.quick else ROUNDS
    torch.set_num_threads(1)
    names = [chosen.only] if chosen.only else list(PROGRAMS)
    bar = Console(stderr=True)
    programs = {name: measure(name, rounds, STEPS) for name in track(names, "watched", console=bar)}
    values: dict[str, Any] = {
        "rounds": rounds,
        "steps": STEPS,
        "load": round(os.getloadavg()[1], 1),  # processes that wanted a core, over five minutes
        "missed": missed(programs),
        "programs": programs,
    }
    show(values)
    if not chosen.quick and not chosen.only:
        record("watching", COMMAND, values)


if __name__ == "__main__":
    main()
