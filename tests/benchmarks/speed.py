"""How long a step of training takes: by hand, in line, in PyTorch, in scikit-learn, in products.

Each contender trains the same float32 network for one epoch of the same shuffled batches, one after
the other, round after round, on one thread. A ratio is taken within a round, so that whatever else
the machine does meets all of them, and its median over the rounds is what counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from dlbook.data import minibatches
from dlbook.scratch import SGD, Adam, cross_entropy, fit, mlp
from tests.benchmarks.recording import record
from tests.benchmarks.timing import clock, ratio, turn

COMMAND = "python3 run.py bench"
NETWORKS = ((2, 10, 2), (64, 64, 10), (64, 256, 128, 10), (784, 512, 256, 10))
BATCHES = (32, 256, 1024)
OPTIMIZERS = ("sgd", "adam")
LR = {"sgd": 1e-2, "adam": 1e-3}
MOMENTUM, BETA1, BETA2, EPS = 0.9, 0.9, 0.999, 1e-8
SECONDS = 0.03  # about what one contender's turn takes
ROUNDS = 15
Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Cell:
    """One network, trained with one batch size by one optimizer."""

    sizes: tuple[int, ...]
    batch_size: int
    optimizer: str

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.sizes))}, {self.batch_size}, {self.optimizer}"

    def data(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        n = steps * self.batch_size
        X = rng.normal(size=(n, self.sizes[0])).astype(np.float32)
        y = rng.integers(0, self.sizes[-1], n)
        y[: self.sizes[-1]] = range(self.sizes[-1])  # scikit-learn must see each class
        return X, y


Epoch = Callable[[], Any]


def by_hand(cell: Cell, X: np.ndarray, y: np.ndarray) -> Epoch:
    rng = np.random.default_rng(1)
    model = mlp(cell.sizes, rng=np.random.default_rng(0))
    optimizer: Any = (
        SGD(model.parameters, LR["sgd"], momentum=MOMENTUM)
        if cell.optimizer == "sgd"
        else Adam(model.parameters, LR["adam"])
    )
    options: Any = {"epochs": 1, "batch_size": cell.batch_size, "rng": rng, "progress": False}
    return lambda: fit(model, cross_entropy, optimizer, X, y, **options)


def in_line(cell: Cell, X: np.ndarray, y: np.ndarray) -> Epoch:
    """Everything that ``fit`` computes and records, written out in one function."""
    rng = np.random.default_rng(1)
    parameters = mlp(cell.sizes, rng=np.random.default_rng(0)).parameters
    Ws, bs = parameters[::2], parameters[1::2]
    first = [np.zeros_like(w) for w in parameters]
    second = [np.zeros_like(w) for w in parameters]
    last, lr, adam, t = len(Ws) - 1, LR[cell.optimizer], cell.optimizer == "adam", 0

    def epoch() -> tuple[float, float]:
        nonlocal t
        total, right = 0.0, 0
        for batch in minibatches(len(X), cell.batch_size, rng=rng):
            A, labels = X[batch], y[batch]
            n, rows, inputs = len(batch), np.arange(len(batch)), []
            for i, (W, b) in enumerate(zip(Ws, bs, strict=True)):
                inputs.append(A)
                Z = A @ W
                Z += b
                A = Z if i == last else np.maximum(Z, 0)
            right += int(np.count_nonzero(Z.argmax(axis=1) == labels))
            Z -= Z.max(axis=1, keepdims=True)
            dZ = np.exp(Z)
            sums = dZ.sum(axis=1, keepdims=True)
            total -= float((Z[rows, labels] - np.log(sums[:, 0])).sum())
            dZ /= sums
            dZ[rows, labels] -= 1
            dZ /= n
            gradients: Arrays = []
            for i in range(last, -1, -1):
                gradients += [dZ.sum(axis=0), inputs[i].T @ dZ]
                if i:
                    dZ = dZ @ Ws[i].T
                    dZ *= inputs[i] > 0
            t += 1
            for w, g, m, v in zip(parameters, gradients[::-1], first, second, strict=True):
                if adam:
                    m *= BETA1
                    m += (1 - BETA1) * g
                    v *= BETA2
                    g *= g
                    g *= 1 - BETA2
                    v += g
                    np.sqrt(v, out=g)
                    g *= 1 / np.sqrt(1 - BETA2**t).item()
                    g += EPS
                    np.divide(m, g, out=g)
                    g *= lr / (1 - BETA1**t)
                    w -= g
                else:
                    m *= MOMENTUM
                    m += g
                    w -= lr * m
        return total / len(X), right / len(X)

    return epoch


def in_pytorch(cell: Cell, X: np.ndarray, y: np.ndarray) -> Epoch:
    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
    layers: list[torch.nn.Module] = []
    for d_in, d_out in pairwise(cell.sizes):
        layers += [torch.nn.Linear(d_in, d_out), torch.nn.ReLU()]
    model, loss_function = torch.nn.Sequential(*layers[:-1]), torch.nn.CrossEntropyLoss()
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD(model.parameters(), LR["sgd"], momentum=MOMENTUM)
        if cell.optimizer == "sgd"
        else torch.optim.Adam(model.parameters(), LR["adam"])
    )

    def epoch() -> float:
        total = 0.0
        for batch in torch.split(torch.randperm(len(X)), cell.batch_size):
            optimizer.zero_grad()
            loss = loss_function(model(inputs[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        return total / len(X)

    return epoch


def in_scikit_learn(cell: Cell, X: np.ndarray, y: np.ndarray) -> Epoch:
    classifier = MLPClassifier(
        cell.sizes[1:-1],
        solver=cell.optimizer,
        alpha=0.0,
        batch_size=cell.batch_size,
        learning_rate_init=LR[cell.optimizer],
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        random_state=0,
    )
    classes = np.arange(cell.sizes[-1])
    return lambda: classifier.partial_fit(X, y, classes=classes)


def products(cell: Cell, X: np.ndarray, y: np.ndarray) -> Epoch:
    """The matrix products of each step alone, into arrays that are there already."""
    n, rng = cell.batch_size, np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    outputs = [draw(n, d) for d in cell.sizes]
    slopes = [draw(n, d) for d in cell.sizes]
    Ws = [draw(d_in, d_out) for d_in, d_out in pairwise(cell.sizes)]
    dWs = [np.empty_like(W) for W in Ws]

    def epoch() -> None:
        for start in range(0, len(X), n):
            inputs = [X[start : start + n], *outputs[1:]]
            for i, W in enumerate(Ws):
                np.matmul(inputs[i], W, out=outputs[i + 1])
            for i in range(len(Ws) - 1, -1, -1):
                np.matmul(inputs[i].T, slopes[i + 1], out=dWs[i])
                if i:
                    np.matmul(slopes[i + 1], Ws[i].T, out=slopes[i])
            slopes[-1][...] = y[0]  # else they would grow from step to step
            for slope in slopes[1:-1]:
                slope[0, 0] = 1.0

    return epoch


CONTENDERS: dict[str, Callable[[Cell, np.ndarray, np.ndarray], Epoch]] = {
    "scratch": by_hand,
    "pytorch": in_pytorch,
    "sklearn": in_scikit_learn,
    "inline": in_line,
    "products": products,
}


def measure(cell: Cell, rounds: int, seconds: float = SECONDS) -> dict[str, Any]:
    """Time all contenders in turn; return microseconds a step and the ratios within a round."""
    X, y = cell.data(steps=4)
    trial = by_hand(cell, X, y)
    trial()
    steps = int(np.clip(seconds / (clock(trial) / 4), 2, 1000))
    X, y = cell.data(steps)
    epochs = {name: make(cell, X, y) for name, make in CONTENDERS.items()}
    for epoch in epochs.values():
        epoch()
    times: dict[str, list[float]] = {name: [] for name in epochs}
    for number in range(rounds):
        for name in turn(list(epochs), number):
            times[name].append(clock(epochs[name]) / steps)
    return {
        "steps": steps,
        "microseconds": {name: round(1e6 * statistics.median(t), 1) for name, t in times.items()},
        "ratios": {
            "pytorch": ratio(times["scratch"], times["pytorch"]),
            "sklearn": ratio(times["scratch"], times["sklearn"]),
            "inline": ratio(times["scratch"], times["inline"]),
            "products": ratio(times["scratch"], times["products"]),
            "products_to_pytorch": ratio(times["products"], times["pytorch"]),
        },
    }


def missed(cells: dict[str, Any]) -> list[str]:
    """Say which of the promises on speed the measured ratios do not keep."""
    found = []
    for name, cell in cells.items():
        r = cell["ratios"]
        if r["sklearn"] >= 1:
            found.append(f"{name}: {r['sklearn']:.2f} times scikit-learn's time, not less than 1")
        limit = 1.0 if r["products_to_pytorch"] < 0.8 else 1.03
        if r["pytorch"] > limit:
            found.append(f"{name}: {r['pytorch']:.2f} times PyTorch's time, more than {limit}")
        if r["inline"] > 1.3:
            found.append(f"{name}: {r['inline']:.2f} times the in-line loop, more than 1.3")
        widths, batch, _ = name.split(", ")
        if widths.count("-") == 3 and int(batch) >= 256 and r["products"] > 1.3:
            loop = r["products"] / r["inline"]
            found.append(
                f"{name}: {r['products']:.2f} times the bare products, more than 1.3 "
                f"(the in-line loop itself takes about {loop:.2f} times)"
            )
    middle = statistics.median(cell["ratios"]["inline"] for cell in cells.values())
    if middle > 1.15:
        found.append(f"{middle:.2f} times the in-line loop in the median, more than 1.15")
    return found


def show(cells: dict[str, Any]) -> None:
    """Print the ratios as a table: our time over theirs, below 1 where ours is shorter."""
    others = ("pytorch", "sklearn", "inline", "products")
    heads = ("network, batch, optimizer", "µs a step", *others, "products / pytorch")
    table = Table(*heads, title="our time over theirs")
    for name, cell in cells.items():
        r = cell["ratios"]
        time = f"{cell['microseconds']['scratch']:,.0f}"
        shares = [f"{r[other]:.2f}" for other in (*others, "products_to_pytorch")]
        table.add_row(name, time, *shares)
    Console().print(table)


def main() -> None:
    """Measure, show and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", default="", help="cells with this in their name; not recorded")
    chosen = parser.parse_args()
    every = [Cell(*parts) for parts in product(NETWORKS, BATCHES, OPTIMIZERS)]
    cells = {}
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for cell in track(every, "speed", console=Console(stderr=True)):
            if chosen.only in cell.name:
                cells[cell.name] = measure(cell, chosen.rounds)
    load = round(os.getloadavg()[1], 1)  # processes that wanted a core, over five minutes
    show(cells)
    misses = missed(cells)
    Console().print(*misses, sep="\n", soft_wrap=True)
    if not chosen.only:
        values = {"rounds": chosen.rounds, "load": load, "missed": misses, "cells": cells}
        record("speed", COMMAND, values)


if __name__ == "__main__":
    main()
