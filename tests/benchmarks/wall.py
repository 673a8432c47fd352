"""Wall times a reader meets: learning digits, a convolution, an import.

Contenders take turns on one thread, round after round.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from dlbook.data import Splits
from dlbook.scratch import Adam, cross_entropy, fit, mlp, predict
from dlbook.scratch.convolution import add_patches, conv2d_backward, conv2d_forward, patches
from dlbook.tasks import TASKS
from tests.benchmarks.recording import record
from tests.benchmarks.timing import clock, in_turn, ratio, turn

COMMAND = "python3 run.py bench"
WANTED = 0.97
SEEDS = range(9)
LONGEST = 100  # epochs
# Name: images, channels in, channels out, height and width; filters of 3 by 3, padding 1.
CONVOLUTIONS = {
    "digits": (32, 1, 16, 8),
    "second": (32, 16, 32, 8),
    "color": (32, 3, 16, 32),
    "deep": (32, 32, 32, 32),
}
ROUNDS = 15
IMPORT = (
    "import sys; from time import perf_counter as now; start = now(); "
    "__import__(sys.argv[1]); print(now() - start)"
)
IMPORT_LIMITS = {"dlbook": 1.1, "scratch": 1.3}
MODULES = {"numpy": "numpy", "dlbook": "dlbook", "scratch": "dlbook.scratch"}

Learner = tuple[Callable[[], Any], Callable[[np.ndarray], np.ndarray]]  # an epoch, and classes of X
OPTIONS = TASKS["digits"].options()


def by_hand(data: Splits, seed: int) -> Learner:
    rng = np.random.default_rng(seed)
    model = mlp(_sizes(data), rng=rng)
    optimizer = Adam(model.parameters, OPTIONS.lr)
    X, y = data.train
    options: Any = {"epochs": 1, "batch_size": OPTIONS.batch_size, "rng": rng, "progress": False}
    return (
        lambda: fit(model, cross_entropy, optimizer, X, y, **options),
        lambda X: predict(model, X).argmax(axis=1),
    )


def in_pytorch(data: Splits, seed: int) -> Learner:
    """Start from the weights that ``by_hand`` starts from."""
    torch.manual_seed(seed)
    layers: list[torch.nn.Module] = []
    for d_in, d_out in pairwise(_sizes(data)):
        layers += [torch.nn.Linear(d_in, d_out), torch.nn.ReLU()]
    model, loss_function = torch.nn.Sequential(*layers[:-1]), torch.nn.CrossEntropyLoss()
    start = mlp(_sizes(data), rng=np.random.default_rng(seed)).state_dict()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in start.items()})
    optimizer = torch.optim.Adam(model.parameters(), OPTIONS.lr)
    X, y = (torch.from_numpy(array) for array in data.train)

    def epoch() -> None:
        for batch in torch.split(torch.randperm(len(X)), OPTIONS.batch_size):
            optimizer.zero_grad()
            loss_function(model(X[batch]), y[batch]).backward()
            optimizer.step()

    def classes(X: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            found: np.ndarray = model(torch.from_numpy(X)).argmax(dim=1).numpy()
        return found

    return epoch, classes


def in_scikit_learn(data: Splits, seed: int) -> Learner:
    classifier = MLPClassifier(
        OPTIONS.hidden,
        solver="adam",
        alpha=0.0,
        batch_size=OPTIONS.batch_size,
        learning_rate_init=OPTIONS.lr,
        random_state=seed,
    )
    X, y = data.train
    return lambda: classifier.partial_fit(X, y, classes=np.arange(10)), classifier.predict


def _sizes(data: Splits) -> tuple[int, ...]:
    return (data.train.X.shape[1], *OPTIONS.hidden, 10)


LEARNERS: dict[str, Callable[[Splits, int], Learner]] = {
    "scratch": by_hand,
    "pytorch": in_pytorch,
    "sklearn": in_scikit_learn,
}


def digits(seeds: range = SEEDS, wanted: float = WANTED) -> dict[str, Any]:
    """Train on several splits until enough of the validation images are right.

    On some splits the validation images are too hard for all, so a ratio counts the splits on which
    both got there.
    """
    trials: dict[str, dict[int, tuple[float, int]]] = {name: {} for name in LEARNERS}
    for seed in seeds:
        data = TASKS["digits"].load(np.random.default_rng(seed))
        for name in turn(list(LEARNERS), seed):
            found = _until(wanted, data, *LEARNERS[name](data, seed))
            if found is not None:
                trials[name][seed] = found
    return {
        "accuracy": wanted,
        "splits": len(seeds),
        "longest": LONGEST,
        **{name: _summary(list(trials[name].values())) for name in LEARNERS},
        "ratios": {
            other: _ratio_of_both(trials["scratch"], trials[other]) for other in list(LEARNERS)[1:]
        },
    }


def _summary(trials: list[tuple[float, int]]) -> dict[str, Any]:
    seconds, epochs = zip(*trials, strict=True)
    return {
        "reached": len(trials),
        "seconds": round(statistics.median(seconds), 3),
        "epochs": statistics.median(epochs),
    }


def _ratio_of_both(
    ours: dict[int, tuple[float, int]], theirs: dict[int, tuple[float, int]]
) -> float:
    both = sorted(ours.keys() & theirs.keys())
    return ratio([ours[seed][0] for seed in both], [theirs[seed][0] for seed in both])


def _until(
    wanted: float, data: Splits, epoch: Callable[[], Any], classes: Callable[..., np.ndarray]
) -> tuple[float, int] | None:
    """Return seconds and epochs of training; looking at the validation images is off the clock."""
    X, y = data.validation
    total = 0.0
    for count in range(1, LONGEST + 1):
        total += clock(epoch)
        if np.mean(classes(X) == y) >= wanted:
            return total, count
    return None


def convolution(
    n: int, c_in: int, c_out: int, side: int, *, rounds: int = ROUNDS
) -> dict[str, float]:
    """Time forward and backward together, and what the parts of it take."""
    rng = np.random.default_rng(0)
    X, W, b, dZ = (
        rng.normal(size=shape).astype(np.float32)
        for shape in ((n, c_in, side, side), (c_out, c_in, 3, 3), c_out, (n, c_out, side, side))
    )
    images, filters, biases = (torch.from_numpy(a).requires_grad_() for a in (X, W, b))
    upstream = torch.from_numpy(dZ)
    P = np.ascontiguousarray(patches(X, (3, 3), padding=1))
    columns, rows = P.reshape(n, c_in * 9, -1), W.reshape(c_out, -1)
    slopes = dZ.reshape(n, c_out, -1)

    def products() -> None:
        rows @ columns
        rows.T @ slopes
        slopes @ columns.transpose(0, 2, 1)

    contenders: dict[str, Callable[[], Any]] = {
        "scratch": lambda: conv2d_backward(dZ, conv2d_forward(X, W, b, padding=1)[1]),
        "pytorch": lambda: torch.autograd.grad(
            torch.nn.functional.conv2d(images, filters, biases, padding=1),
            (images, filters, biases),
            upstream,
        ),
        "copy": lambda: np.ascontiguousarray(patches(X, (3, 3), padding=1)),
        "products": products,
        "fold": partial(add_patches, P, (side, side), padding=1),
    }
    times = in_turn(contenders, rounds)
    return {
        "milliseconds": round(1e3 * statistics.median(times["scratch"]), 3),
        "ratio": ratio(times["scratch"], times["pytorch"]),
        **{part: ratio(times[part], times["scratch"]) for part in ("copy", "products", "fold")},
    }


def imports(rounds: int = ROUNDS) -> dict[str, Any]:
    """Time imports in fresh processes; starting Python is not on the clock."""
    times: dict[str, list[float]] = {name: [] for name in MODULES}
    for number in range(rounds + 1):
        for name in turn(list(MODULES), number):
            command = [sys.executable, "-c", IMPORT, MODULES[name]]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            if number:  # the first round may have to compile
                times[name].append(float(done.stdout))
    return {
        "milliseconds": {
            name: round(1e3 * statistics.median(column), 1) for name, column in times.items()
        },
        "ratios": {name: ratio(times[name], times["numpy"]) for name in IMPORT_LIMITS},
    }


def missed(ratios: dict[str, float]) -> list[str]:
    """Say which of the promises on the cost of imports are not kept."""
    return [
        f"importing {MODULES[name]}: {ratios[name]:.2f} times NumPy's time, more than {limit}"
        for name, limit in IMPORT_LIMITS.items()
        if ratios[name] > limit
    ]


def show(values: dict[str, Any]) -> None:
    """Print the ratios as a table: our time over theirs."""
    table = Table("what", "against", "ratio", title="our time over theirs")
    for other, found in values["digits"]["ratios"].items():
        table.add_row(f"digits to {WANTED:.0%}", other, f"{found:.2f}")
    for name, cell in values["convolution"].items():
        table.add_row(f"convolution, {name}", "pytorch", f"{cell['ratio']:.2f}")
    for name, found in values["imports"]["ratios"].items():
        table.add_row(f"import {MODULES[name]}", "import numpy", f"{found:.2f}")
    Console().print(table)
    Console().print(*values["missed"], sep="\n")


def main() -> None:
    """Measure, show and record."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        sizes = track(CONVOLUTIONS.items(), "wall times", console=Console(stderr=True))
        convolutions = {name: convolution(*size) for name, size in sizes}
        values: dict[str, Any] = {
            "digits": digits(),
            "convolution": convolutions,
            "imports": imports(),
        }
    values["missed"] = missed(values["imports"]["ratios"])
    show(values)
    record("wall", COMMAND, values)


if __name__ == "__main__":
    main()
