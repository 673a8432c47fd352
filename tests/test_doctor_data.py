"""Faults of the data: found in other forms than in their pitfalls, and look-alikes are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from torch.utils.data import DataLoader, Dataset, TensorDataset

from dlbook.doctor import Finding
from dlbook.doctor.discovery import watch_everything

Program = Callable[[], object]
Loss = Callable[[Tensor, Tensor], Tensor]


def told(program: Program) -> list[Finding]:
    with watch_everything() as w, torch.random.fork_rng():
        torch.manual_seed(0)
        program()
    report = w.report()
    assert "could not be judged" not in report.seen
    return list(report.findings)


def trained(
    X: Tensor,
    Y: Tensor,
    loss: Loss = mse_loss,
    *,
    rate: float = 0.01,
    epochs: int = 12,
    shuffle: bool = True,
    outputs: int = 1,
) -> nn.Module:
    model = nn.Sequential(nn.Linear(X.shape[1], 32), nn.ReLU(), nn.Linear(32, outputs))
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for _ in range(epochs):
        for xb, yb in DataLoader(TensorDataset(X, Y), 32, shuffle=shuffle):
            value = loss(model(xb), yb)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return model


def table(n: int = 320, d: int = 6) -> tuple[Tensor, Tensor]:
    X = torch.randn(n, d)
    return X, torch.tanh(2 * X[:, :1]) + X[:, 1:2] + 0.2 * torch.randn(n, 1)


def classes(n: int = 320, k: int = 4) -> tuple[Tensor, Tensor]:
    y = torch.randint(k, (n,))
    return torch.randn(n, 8) + 3 * nn.functional.one_hot(y, 8), y


def accuracy(model: nn.Module, X: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return float((model(X).argmax(1) == y).float().mean())


# -- found


def infinite_ratio_among_inputs() -> None:
    X, Y = table()
    X[:, 2] = X[:, 2] / (X[:, 3] > -1).float()
    trained(X, Y, epochs=3)


def missing_targets() -> None:
    X, Y = table()
    Y[5] = float("nan")
    trained(X, Y, epochs=3)


def inputs_multiplied_away() -> None:
    X, Y = table()
    trained(X * 0 + 1, Y, epochs=4)


def threshold_that_never_holds() -> None:
    X, Y = table()
    trained(X, (Y > 100).float(), binary_cross_entropy_with_logits, epochs=4)


def label_left_in_the_table() -> None:
    X, y = classes(k=2)
    Y = y[:, None].float()
    trained(torch.cat([X, Y], 1), Y, binary_cross_entropy_with_logits)


def characters_asked_for_themselves() -> None:
    text = torch.randint(20, (200, 12))
    model = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 20))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for rows in torch.randint(200, (40, 25)):
        loss = cross_entropy(model(text[rows]).transpose(1, 2), text[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def counted_rows_in_order_of_class() -> None:
    y = torch.arange(3).repeat_interleave(100)
    X = torch.column_stack([torch.arange(300.0), torch.randn(300, 3) + 0.5 * y[:, None]])
    trained(X / X.std(0), y, cross_entropy, outputs=3)


def noise_added_to_the_data() -> None:
    X, Y = table()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(8):
        for start in range(0, 320, 80):
            xb = X[start : start + 80]
            xb.add_(torch.randn_like(xb))
            loss = mse_loss(model(xb), Y[start : start + 80])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def incomes_beside_ages() -> None:
    X, Y = table()
    X = X * torch.tensor([1.0, 1.0, 1.0, 1.0, 5_000.0, 20_000.0])
    model = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for rows in torch.randint(320, (150, 32)):
        loss = (model(X[rows]) - Y[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def prices_in_full() -> None:
    X, Y = table()
    trained(X, 60_000 * Y + 250_000, epochs=15, rate=1e-3)


def class_after_class() -> None:
    y = torch.arange(4).repeat_interleave(120)
    X = torch.randn(480, 8) + 1.5 * nn.functional.one_hot(y, 8)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.3)
    for _ in range(6):
        for rows in torch.arange(480).split(24):
            loss = cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def towns_by_number() -> None:
    towns = torch.randint(30, (960, 1))
    usual = torch.randn(30)
    Y = usual[towns] + 0.1 * torch.randn(960, 1)
    model = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    X = torch.cat([towns / 30, torch.randn(960, 1)], 1)
    for rows in torch.randperm(960).repeat(4).split(32):
        loss = mse_loss(model(X[rows]), Y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def two_draws_with_two_seeds() -> None:
    X, y = classes(400)
    train = torch.randperm(400, generator=torch.Generator().manual_seed(1))[:320]
    valid = torch.randperm(400, generator=torch.Generator().manual_seed(2))[:80]
    accuracy(trained(X[train], y[train], cross_entropy, outputs=4), X[valid], y[valid])


def validation_in_raw_units() -> None:
    X, y = classes(400)
    raw = 40 * X + 300
    scaled = (raw - raw[:300].mean(0)) / raw[:300].std(0)
    accuracy(trained(scaled[:300], y[:300], cross_entropy, outputs=4), raw[300:], y[300:])


def labels_of_other_rows() -> None:
    X, y = classes(400)
    y = y[torch.randperm(400)]
    accuracy(trained(X[:300], y[:300], cross_entropy, outputs=4), X[300:], y[300:])


class Stored(Dataset[tuple[Tensor, Tensor]]):
    """Gives items in a way of one's own."""

    def __init__(self, give: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]) -> None:
        self.X, self.y = classes()
        self.give = give

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.give(self.X, self.y, index)


def trained_on(data: Stored) -> None:
    model = nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(5):
        for xb, yb in DataLoader(data, 40, shuffle=True):
            loss = cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def first_item_for_every_index() -> None:
    trained_on(Stored(lambda X, y, _index: (X[0], y[0])))


def scaled_in_place_when_read() -> None:
    trained_on(Stored(lambda X, y, index: (X[index].mul_(1.1), y[index])))


def next_of_a_new_iterator() -> None:
    X, y = classes()
    loader = DataLoader(TensorDataset(X, y), 16)
    model = nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(30):
        xb, yb = next(iter(loader))
        loss = cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def commonest_class_ignored() -> None:
    X, y = classes()
    trained(X, y, nn.CrossEntropyLoss(ignore_index=2), outputs=4)


FAULTS: list[tuple[Program, str]] = [
    (infinite_ratio_among_inputs, "inputs-not-finite"),
    (missing_targets, "targets-not-finite"),
    (inputs_multiplied_away, "inputs-constant"),
    (threshold_that_never_holds, "labels-constant"),
    (label_left_in_the_table, "target-among-inputs"),
    (characters_asked_for_themselves, "targets-are-the-inputs"),
    (counted_rows_in_order_of_class, "row-number-among-inputs"),
    (noise_added_to_the_data, "data-changed-in-place"),
    (incomes_beside_ages, "inputs-unscaled"),
    (prices_in_full, "targets-unscaled"),
    (class_after_class, "batches-of-one-class"),
    (towns_by_number, "categories-as-numbers"),
    (two_draws_with_two_seeds, "validation-overlaps-training"),
    (validation_in_raw_units, "validation-scaled-otherwise"),
    (labels_of_other_rows, "labels-unrelated-to-inputs"),
    (first_item_for_every_index, "items-repeated"),
    (scaled_in_place_when_read, "dataset-changes-its-items"),
    (commonest_class_ignored, "labels-ignored"),
    (next_of_a_new_iterator, "only-the-first-batch"),
]


@pytest.mark.parametrize(("program", "code"), FAULTS, ids=lambda one: getattr(one, "__name__", "_"))
def test_a_fault_of_the_data_is_named_first(program: Program, code: str) -> None:
    found = told(program)
    assert [finding.code for finding in found][:1] == [code], found


# -- sound


def inputs_of_large_size_that_are_learned() -> None:
    X, Y = table()
    trained(50 * X, Y, epochs=40, rate=3e-3)


def one_column_that_decides() -> None:
    X, _ = table()
    trained(X, X[:, :1] * 2 + 1)


def table_of_yes_and_no() -> None:
    X = torch.randint(2, (600, 5)).float()
    y = (X.sum(1) > 2).long()
    accuracy(trained(X[:480], y[:480], cross_entropy, outputs=2), X[480:], y[480:])


def accuracy_on_the_training_examples() -> None:
    X, y = classes(400)
    model = trained(X[:300], y[:300], cross_entropy, outputs=4)
    accuracy(model, X[:300], y[:300])
    accuracy(model, X[300:], y[300:])


def accuracy_on_everything_at_once() -> None:
    X, y = classes(400)
    accuracy(trained(X[:300], y[:300], cross_entropy, outputs=4), X, y)


def autoencoder() -> None:
    X = torch.randn(320, 3) @ torch.randn(3, 8)
    trained(X, X, outputs=8, epochs=20)


def wave_over_time() -> None:
    t = torch.linspace(-3, 3, 320)[:, None]
    trained(t, torch.sin(2 * t), shuffle=False, epochs=40)


def trend_in_time_order() -> None:
    t = torch.arange(320.0) / 320
    X = torch.column_stack([t, torch.randn(320)])
    trained(X, (t + 0.3 * X[:, 1])[:, None], shuffle=False, epochs=30)


def buffer_filled_anew_for_each_batch() -> None:
    X, Y = table()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    pinned = torch.empty(2, 40, 6)
    for number, rows in enumerate(torch.randperm(320).repeat(3).split(40)):
        pinned[number % 2].copy_(X[rows])
        loss = mse_loss(model(pinned[number % 2]), Y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def marks_from_one_to_five() -> None:
    X = torch.randint(1, 6, (480, 4)).float()
    Y = X.mean(1, keepdim=True) + 0.1 * torch.randn(480, 1)
    trained(X, Y, epochs=20)


def real_and_drawn_by_turns() -> None:
    maker, judge = nn.Linear(2, 2), nn.Linear(2, 1)
    making = torch.optim.Adam(maker.parameters(), 0.01)
    judging = torch.optim.Adam(judge.parameters(), 0.01)
    ones, zeros = torch.ones(32, 1), torch.zeros(32, 1)
    for _ in range(40):
        fake = maker(torch.randn(32, 2))
        judging.zero_grad()
        binary_cross_entropy_with_logits(judge(torch.randn(32, 2) + 2), ones).backward()
        binary_cross_entropy_with_logits(judge(fake.detach()), zeros).backward()
        judging.step()
        making.zero_grad()
        binary_cross_entropy_with_logits(judge(fake), ones).backward()
        making.step()


def noise_added_when_read() -> None:
    trained_on(Stored(lambda X, y, index: (X[index] + 0.1 * torch.randn(8), y[index])))


def padding_of_number_zero_ignored() -> None:
    tokens = torch.randint(1, 12, (160, 10))
    lengths = torch.randint(4, 10, (160, 1))
    tokens = tokens.where(torch.arange(10) < lengths, 0)
    kinds = tokens.clamp(max=5)
    model = nn.Sequential(nn.Embedding(12, 16), nn.Linear(16, 6))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    criterion = nn.CrossEntropyLoss(ignore_index=0)
    for rows in torch.randint(160, (60, 32)):
        loss = criterion(model(tokens[rows]).flatten(0, 1), kinds[rows].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


SOUND: list[Program] = [
    noise_added_when_read,
    padding_of_number_zero_ignored,
    inputs_of_large_size_that_are_learned,
    one_column_that_decides,
    table_of_yes_and_no,
    accuracy_on_the_training_examples,
    accuracy_on_everything_at_once,
    autoencoder,
    wave_over_time,
    trend_in_time_order,
    buffer_filled_anew_for_each_batch,
    marks_from_one_to_five,
    real_and_drawn_by_turns,
]


@pytest.mark.parametrize("program", SOUND, ids=lambda one: str(getattr(one, "__name__", "")))
def test_data_that_only_look_wrong_get_no_warning(program: Program) -> None:
    assert [finding for finding in told(program) if finding.severity != "note"] == []
