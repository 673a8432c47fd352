"""What is counted in plain Python: found by reading the lines at work, and look-alikes are not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from tests.judged import judged

CODES = (
    "counter-reset-in-each-batch",
    "mean-losses-divided-by-examples",
    "batches-used-up",
    "batch-averages-unweighted",
)


def parts() -> tuple[nn.Module, torch.optim.Optimizer, DataLoader[tuple[Tensor, ...]]]:
    X = torch.randn(120, 5)
    data = TensorDataset(X, (X[:, 0] > 0).long())
    model = nn.Linear(5, 2)
    return model, torch.optim.SGD(model.parameters(), 0.1), DataLoader(data, 32, shuffle=True)


def counter_in_the_loop() -> float:
    model, optimizer, loader = parts()
    hits, seen = 0, 0
    for xb, yb in loader:
        hits = 0
        Z = model(xb)
        loss = cross_entropy(Z, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        hits += int((Z.argmax(1) == yb).sum())
        seen += len(yb)
    return hits / seen


def sum_of_means_by_examples() -> list[float]:
    model, optimizer, loader = parts()
    criterion = nn.CrossEntropyLoss()
    told = []
    for _ in range(2):
        running = 0.0
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            running += loss.item()
        running /= len(loader.dataset)  # type: ignore[arg-type]
        told.append(running)
    return told


def batches_mapped_once() -> None:
    model, optimizer, loader = parts()
    halves = ((xb / 2, yb) for xb, yb in loader)
    for _ in range(3):
        for number, (xb, yb) in enumerate(halves):
            loss = cross_entropy(model(xb), yb) + 0 * number
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def measured(size: int) -> float:
    model, optimizer, loader = parts()
    for xb, yb in loader:
        loss = cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    batches = DataLoader(loader.dataset, size)
    share = 0.0
    model.eval()
    with torch.no_grad():
        for xb, yb in batches:
            share += (model(xb).argmax(1) == yb).float().mean().item()
    return share / len(batches)


def last_example_alone() -> float:
    return measured(119)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        (counter_in_the_loop, CODES[0]),
        (sum_of_means_by_examples, CODES[1]),
        (batches_mapped_once, CODES[2]),
        (last_example_alone, CODES[3]),
    ],
    ids=CODES,
)
def test_a_count_gone_wrong_is_found(program: Callable[[], object], code: str) -> None:
    assert judged(program, CODES) == [code]


def counters_before_the_loop() -> list[float]:
    model, optimizer, loader = parts()
    told = []
    for _ in range(2):
        right, total = 0, 0.0
        for xb, yb in loader:
            of_batch = 0
            Z = model(xb)
            loss = cross_entropy(Z, yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            of_batch += int((Z.argmax(1) == yb).sum())
            right += of_batch
            total += loss.item() * len(yb)
        told += [right / len(loader.dataset), total / len(loader.dataset)]  # type: ignore[arg-type]
    return told


def last_epoch_given_back() -> float:
    model, optimizer, loader = parts()
    for _ in range(2):
        total = 0.0
        for xb, yb in loader:
            loss = cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
    return total / len(loader)


def sums_by_examples() -> float:
    model, optimizer, loader = parts()
    total, right = 0.0, 0
    for xb, yb in loader:
        Z = model(xb)
        loss = mse_loss(Z[:, 0], yb.float(), reduction="sum")
        optimizer.zero_grad()
        (loss / len(yb)).backward()
        optimizer.step()
        total += loss.item()
        right += (Z.argmax(1) == yb).sum().item()
    return total / len(loader.dataset) + right / len(loader.dataset)  # type: ignore[arg-type]


def last_batch_a_little_smaller() -> float:
    return measured(7)


def made_anew_in_each_epoch() -> None:
    model, optimizer, loader = parts()
    for _ in range(3):
        batches = iter(loader)
        for xb, yb in batches:
            loss = cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def stream_without_end_cut_into_epochs() -> None:
    model, optimizer, loader = parts()
    stream = cycle(loader)
    for _ in range(3):
        for number, (xb, yb) in enumerate(stream):
            loss = cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if number == 4:
                break


@pytest.mark.parametrize(
    "program",
    [
        counters_before_the_loop,
        last_epoch_given_back,
        sums_by_examples,
        last_batch_a_little_smaller,
        made_anew_in_each_epoch,
        stream_without_end_cut_into_epochs,
    ],
)
def test_a_count_that_is_right_is_not_accused(program: Callable[[], object]) -> None:
    assert judged(program, CODES) == []
