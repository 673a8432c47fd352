"""How a training loop gets fast on a GPU: one change after the other, and what each of them gives.

Run it where PyTorch finds a CUDA device: ``python3 -m tests.benchmarks.gpu`` from the repository's
root. It needs this repository, PyTorch, NumPy and Rich, and for ``torch.compile`` a C compiler.
"""

from __future__ import annotations

import argparse
import copy
import statistics
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pytorch import MLP
from dlbook.pytorch.batches import Batches
from dlbook.pytorch.devices import describe
from dlbook.pytorch.resident import DeviceBatches
from tests.benchmarks.recording import RESULTS, record
from tests.benchmarks.timing import in_turn

COMMAND = "python3 -m tests.benchmarks.gpu"
NETWORKS = {"small": ((64, 128, 10), 256), "large": ((784, 4096, 4096, 10), 1024)}
STEPS, ROUNDS = 50, 7
PRODUCT = 8192  # rows and columns of the matrices whose product gives the card's rate
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
WARM_UP = 3  # steps before a capture, as PyTorch's documentation asks

Epoch = Callable[[], Tensor]  # trains once over the data; returns the loss of each step
Step = Callable[[Tensor, Tensor], Tensor]


class Learner:
    """A network with what is needed to train it: the same for every contender."""

    def __init__(
        self, sizes: tuple[int, ...], n: int, batch_size: int, device: torch.device
    ) -> None:
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(n, sizes[0])).astype(np.float32)
        self.y = rng.integers(0, sizes[-1], n)
        self.batch_size = batch_size
        self.device = device
        self.model: nn.Module = MLP(sizes, generator=self.seeded()).to(device)
        self.loss_function = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-2, momentum=0.9)

    def seeded(self) -> torch.Generator:
        return torch.Generator().manual_seed(0)

    def resident(self) -> DeviceBatches:
        options: Any = {"device": self.device, "generator": self.seeded(), "drop_last": True}
        return DeviceBatches(self.X, self.y, self.batch_size, **options)

    def step(self, X: Tensor, y: Tensor, amp: bool = False) -> Tensor:
        self.optimizer.zero_grad()
        with self.autocast() if amp else nullcontext():
            loss: Tensor = self.loss_function(self.model(X), y)
        loss.backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
        self.optimizer.step()
        return loss.detach()

    def autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, torch.bfloat16)


def naive(learner: Learner) -> Epoch:
    """Read sample by sample on the host, copy each batch, ask for each loss at once."""
    tensors = TensorDataset(torch.from_numpy(learner.X), torch.from_numpy(learner.y))
    batches = Batches(len(tensors), learner.batch_size, generator=learner.seeded(), drop_last=True)
    loader = DataLoader(tensors, batch_sampler=batches)

    def epoch() -> Tensor:
        device = learner.device
        return torch.tensor([learner.step(X.to(device), y.to(device)).item() for X, y in loader])

    return epoch


def resident(learner: Learner) -> Epoch:
    """Keep the data on the device, and the losses until the epoch's end."""
    return over(learner.resident(), learner.step)


def bf16(learner: Learner) -> Epoch:
    """Compute the products in bfloat16."""
    return over(learner.resident(), lambda X, y: learner.step(X, y, amp=True))


def compiled(learner: Learner, backend: str = "inductor") -> Epoch:
    """Let torch.compile fuse what stands between the products."""
    learner.model.compile(backend=backend)
    return bf16(learner)


def graphs(learner: Learner, backend: str = "inductor") -> Epoch:
    """Record the kernels of a whole step once, then let the device play them without the host."""
    learner.model.compile(backend=backend)
    return over(learner.resident(), captured(learner))


def over(batches: Iterable[tuple[Tensor, ...]], step: Step) -> Epoch:
    return lambda: torch.stack([step(X, y).clone() for X, y in batches])


def captured(learner: Learner) -> Step:
    """Return a step that copies a batch to where the recorded kernels read it, and plays them."""
    X, y = (part.clone() for part in next(iter(learner.resident())))
    start = copy.deepcopy(learner.model.state_dict())
    record_step = recorded if learner.device.type == "cuda" else unrecorded
    play, loss = record_step(learner, X, y)
    # Back to the start, in place: the recording names this memory.
    learner.model.load_state_dict(start)
    for state in learner.optimizer.state.values():
        state["momentum_buffer"].zero_()

    def step(new_X: Tensor, new_y: Tensor) -> Tensor:
        X.copy_(new_X)
        y.copy_(new_y)
        play()
        return loss

    return step


def recorded(learner: Learner, X: Tensor, y: Tensor) -> tuple[Callable[[], Any], Tensor]:
    """Record a step on X and y; return what plays it, and where it leaves the loss."""
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # recording is no time to compile or to set up libraries
        for _ in range(WARM_UP):
            learner.step(X, y, amp=True)
    torch.cuda.current_stream().wait_stream(stream)
    learner.optimizer.zero_grad()  # so that the recorded backward pass makes its own gradients
    with torch.cuda.graph(graph, stream=stream):
        with learner.autocast():
            loss = learner.loss_function(learner.model(X), y)
        loss.backward()
        learner.optimizer.step()
    return graph.replay, loss.detach()


def unrecorded(learner: Learner, X: Tensor, y: Tensor) -> tuple[Callable[[], Any], Tensor]:
    """Return the same on a CPU, where nothing can be recorded: so the rest can be tested there."""
    loss = learner.step(X, y, amp=True).clone()
    return lambda: loss.copy_(learner.step(X, y, amp=True)), loss


CONTENDERS: dict[str, Callable[[Learner], Epoch]] = {
    "naive": naive,
    "resident": resident,
    "bf16": bf16,
    "compiled": compiled,
    "graphs": graphs,
}


def flops(sizes: tuple[int, ...]) -> int:
    """Count the operations in the products of a step, for each sample.

    Forward, and backward to the weights and, but for the first layer, to the inputs: a
    multiplication and an addition for each weight and product.
    """
    weights = [d_in * d_out for d_in, d_out in pairwise(sizes)]
    return 2 * (3 * sum(weights) - weights[0])


def product_rate(dtype: torch.dtype, device: torch.device, rounds: int, rows: int) -> float:
    """Measure operations per second in the product of two large square matrices."""
    A, B = (torch.randn(rows, rows, device=device, dtype=dtype) for _ in range(2))
    times = in_turn({"product": waiting(lambda: A @ B, device)}, rounds)
    return 2 * rows**3 / statistics.median(times["product"])


def waiting(work: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    """Let the clock wait until the device is done: work given to a GPU returns at once."""

    def whole() -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return whole


def measure(
    sizes: tuple[int, ...],
    batch_size: int,
    device: torch.device,
    rates: dict[str, float],
    *,
    rounds: int = ROUNDS,
    steps: int = STEPS,
    contenders: dict[str, Callable[[Learner], Epoch]] | None = None,
) -> dict[str, Any]:
    """Time all contenders in turn; return samples per second and what each change gives."""
    n = steps * batch_size
    epochs = {
        name: waiting(make(Learner(sizes, n, batch_size, device)), device)
        for name, make in (contenders or CONTENDERS).items()
    }
    times = in_turn(epochs, rounds)
    per_second = {name: n / statistics.median(t) for name, t in times.items()}
    dtypes = {name: "float32" if name in ("naive", "resident") else "bf16" for name in times}
    return {
        "network": "-".join(map(str, sizes)),
        "batch_size": batch_size,
        "samples_per_second": {name: round(rate) for name, rate in per_second.items()},
        "ratios": {
            name: round(
                statistics.median(b / a for b, a in zip(times[before], times[name], strict=True)), 2
            )
            for before, name in pairwise(times)
        },
        "share_of_products": {
            name: round(flops(sizes) * per_second[name] / rates[dtypes[name]], 4) for name in times
        },
    }


def show(values: dict[str, Any]) -> None:
    """Print what each change gives."""
    heads = ("network", "loop", "samples/s", "over the one before", "share of the product rate")
    table = Table(*heads, title=values["device"])
    for cell in values["networks"].values():
        for name, rate in cell["samples_per_second"].items():
            gained = f"{cell['ratios'][name]:.2f}" if name in cell["ratios"] else ""
            share = f"{cell['share_of_products'][name]:.2%}"
            table.add_row(cell["network"], name, f"{rate:,}", gained, share)
    Console().print(table)


def main() -> None:
    """Measure, show and record, where there is a CUDA device."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where gpu.json goes")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        Console().print("no CUDA device: nothing was measured on a GPU, nothing recorded")
        return
    device = torch.device("cuda")
    torch.backends.cuda.matmul.allow_tf32 = False  # float32 in full
    rates = {name: product_rate(dtype, device, ROUNDS, PRODUCT) for name, dtype in DTYPES.items()}
    values: dict[str, Any] = {
        "device": describe(device),
        "cuda": torch.version.cuda,
        "rounds": ROUNDS,
        "product": PRODUCT,
        "teraflops": {name: round(rate / 1e12, 1) for name, rate in rates.items()},
        "networks": {
            name: measure(sizes, batch_size, device, rates)
            for name, (sizes, batch_size) in NETWORKS.items()
        },
    }
    show(values)
    record("gpu", COMMAND, values, folder=chosen.folder)


if __name__ == "__main__":
    main()
