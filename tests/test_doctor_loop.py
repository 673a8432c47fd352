"""Habits of a loop: each is found in another form than in its pitfall, its look-alikes are not."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)
from torch.utils.data import DataLoader, TensorDataset

from dlbook.doctor import Finding
from dlbook.doctor.discovery import watch_everything

Program = Callable[[], object]


def told(program: Program) -> list[Finding]:
    with watch_everything() as w, torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch may say so too
        torch.manual_seed(0)
        program()
    return list(w.report().findings)


def points(n: int = 96) -> tuple[Tensor, Tensor]:
    X = torch.randn(n, 6)
    return X, (X[:, :1] - 2 * X[:, 1:2]).contiguous()


def classes(n: int = 240) -> tuple[Tensor, Tensor]:
    y = torch.arange(n) % 3
    return torch.randn(n, 4) + 2 * nn.functional.one_hot(y, 4), y


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(4, 16), nn.Linear(16, 3)

    def forward(self, X: Tensor) -> Tensor:
        return self.head(torch.tanh(self.hidden(X)))


def trained(
    model: nn.Module, optimizer: torch.optim.Optimizer, X: Tensor, y: Tensor, steps: int = 1
) -> float:
    for _ in range(steps):
        Z = model(X)
        loss = mse_loss(Z, y) if y.dtype.is_floating_point else cross_entropy(Z, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


# -- found


def inputs_not_made_float() -> None:
    X, y = classes()
    X = X.double()
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters())
    for rows in torch.randperm(len(X)).split(60):
        xb = X[rows]
        xb.float()
        trained(model.double(), optimizer, xb, y[rows])


def best_kept_as_dict_of_parameters() -> None:
    X, y = points()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    best, lowest = model.state_dict(), float("inf")
    for _ in range(8):
        loss = trained(model, optimizer, X, y)
        if loss < lowest:
            best, lowest = dict(model.state_dict()), loss
    model.load_state_dict(best)


def loader_too_small_for_its_batch() -> None:
    X, y = points(20)
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(3):
        for xb, yb in DataLoader(TensorDataset(X, y), 32, drop_last=True):
            trained(model, optimizer, xb, yb)


def no_step() -> None:
    X, y = points()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(8):
        optimizer.zero_grad()
        mse_loss(model(X), y).backward()


def dropout_seeded_each_step() -> None:
    X, y = classes()
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(20):
        torch.manual_seed(7)
        trained(model, optimizer, X, y)


def shuffled_alike_by_a_generator_made_anew() -> None:
    X, y = classes()
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(6):
        generator = torch.Generator().manual_seed(1)
        for xb, yb in DataLoader(TensorDataset(X, y), 40, shuffle=True, generator=generator):
            trained(model, optimizer, xb, yb)


def evaluation_losses_summed_with_graphs() -> None:
    X, y = classes()
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    trained(model, optimizer, X, y, 5)
    model.eval()
    total: list[Tensor] = []
    for xb, yb in zip(X.split(24), y.split(24), strict=True):
        total.append(cross_entropy(model(xb), yb))
    torch.stack(total).mean().item()


def steps_in_validation() -> None:
    X, y = classes()
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    train, held = (TensorDataset(X[:180], y[:180]), TensorDataset(X[180:], y[180:]))
    for _ in range(4):
        model.train()
        for xb, yb in DataLoader(train, 60, shuffle=True):
            trained(model, optimizer, xb, yb)
        model.eval()
        for xb, yb in DataLoader(held, 60):
            trained(model, optimizer, xb, yb)


def sums_of_sixteen_gradients() -> None:
    X, y = points(512)
    model = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(10):
        for number, rows in enumerate(torch.randperm(512).split(8)):
            (model(X[rows]) - y[rows]).square().mean().backward()
            if (number + 1) % 16 == 0:
                optimizer.step()
                optimizer.zero_grad()


def last_batches_cleared() -> None:
    X, y = classes()
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(6):
        model.zero_grad()
        for number, (xb, yb) in enumerate(zip(X.split(30), y.split(30), strict=True), start=1):
            (cross_entropy(model(xb), yb) / 3).backward()
            if number % 3 == 0:
                optimizer.step()
                model.zero_grad()


def one_cycle_made_each_epoch() -> None:
    X, y = classes()
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(6):
        schedule = ExponentialLR(optimizer, 0.5)
        trained(model, optimizer, X, y, 3)
        schedule.step()


def exponential_stepped_first() -> None:
    X, y = classes()
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = ExponentialLR(optimizer, 0.9)
    for _ in range(6):
        schedule.step()
        trained(model, optimizer, X, y)


def decay_of_each_batch() -> None:
    X, y = classes()
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    schedule = ExponentialLR(optimizer, 0.5)
    for _ in range(10):
        for rows in torch.randperm(len(X)).split(20):
            trained(model, optimizer, X[rows], y[rows])
            schedule.step()


class Forgetful(Classifier):
    def forward(self, X: Tensor) -> Tensor:
        return self.head(nn.functional.dropout(torch.tanh(self.hidden(X)), 0.4))


def dropout_that_knows_no_mode() -> None:
    X, y = classes()
    model = Forgetful()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(4):
        model.train()
        for rows in torch.randperm(180).split(30):
            trained(model, optimizer, X[rows], y[rows])
        model.eval()
        with torch.no_grad():
            model(X[180:]).argmax(1)


FAULTS: list[tuple[Program, str]] = [
    (inputs_not_made_float, "conversion-dropped"),
    (best_kept_as_dict_of_parameters, "best-weights-not-copied"),
    (loader_too_small_for_its_batch, "no-step-taken"),
    (no_step, "step-never-called"),
    (dropout_seeded_each_step, "same-draws-each-epoch"),
    (shuffled_alike_by_a_generator_made_anew, "same-draws-each-epoch"),
    (evaluation_losses_summed_with_graphs, "validation-keeps-graphs"),
    (steps_in_validation, "validation-trains"),
    (sums_of_sixteen_gradients, "accumulation-not-divided"),
    (last_batches_cleared, "accumulation-drops-the-last-group"),
    (one_cycle_made_each_epoch, "schedule-restarted"),
    (exponential_stepped_first, "schedule-stepped-before-training"),
    (decay_of_each_batch, "schedule-stepped-every-batch"),
    (dropout_that_knows_no_mode, "dropout-in-evaluation"),
]


@pytest.mark.parametrize(("program", "code"), FAULTS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_habit_that_harms_is_named_first(program: Program, code: str) -> None:
    found = told(program)
    assert [finding.code for finding in found][:1] == [code], found


# -- sound


def best_kept_in_a_copy() -> None:
    X, y = points()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    best = copy.deepcopy(model.state_dict())
    trained(model, optimizer, X, y, 8)
    model.load_state_dict(best)


def state_given_from_one_network_to_another() -> None:
    X, y = points()
    model, target = nn.Linear(6, 1), nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(4):
        trained(model, optimizer, X, y, 3)
        target.load_state_dict(model.state_dict())


def evaluation_seeded_in_a_fork() -> None:
    X, y = classes()
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(8):
        model.train()
        for rows in torch.randperm(len(X)).split(40):
            trained(model, optimizer, X[rows], y[rows])
        model.eval()
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            model(X + 0.1 * torch.randn_like(X))


def seeded_once_for_the_data_and_once_for_the_network() -> None:
    torch.manual_seed(1)
    X, y = classes()
    torch.manual_seed(1)
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(8):
        for rows in torch.randperm(len(X)).split(40):
            trained(model, optimizer, X[rows], y[rows])


def whole_set_in_a_shuffled_loader() -> None:
    X, y = classes()
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(12):
        for xb, yb in DataLoader(TensorDataset(X, y), len(X), shuffle=True):
            trained(model, optimizer, xb, yb)


def gradients_of_inputs_in_evaluation_mode() -> None:
    X, y = classes()
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    trained(model, optimizer, X, y, 12)
    model.eval()
    for xb, yb in zip(X.split(24), y.split(24), strict=True):
        xb.requires_grad_()
        torch.autograd.grad(cross_entropy(model(xb), yb), xb)


def frozen_network_in_evaluation_mode_beside_a_head() -> None:
    X, y = classes()
    backbone, head = Classifier().eval().requires_grad_(False), nn.Linear(3, 3)
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(30):
        loss = cross_entropy(head(backbone(X)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def accumulated_with_a_rate_to_match() -> None:
    X, y = points(512)
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    for _ in range(10):
        for number, rows in enumerate(torch.randperm(512).split(32)):
            mse_loss(model(X[rows]), y[rows]).backward()
            if number % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()


def schedules_that_are_right() -> None:
    X, y = classes()
    for make in (
        lambda o: CosineAnnealingLR(o, 8),
        lambda o: StepLR(o, 3),
        lambda o: LinearLR(o, 0.01, total_iters=4),
        lambda o: OneCycleLR(o, 0.3, total_steps=24),
    ):
        model = Classifier()
        optimizer = torch.optim.SGD(model.parameters(), 0.3)
        schedule = make(optimizer)
        for _ in range(8):
            for _ in range(3):
                trained(model, optimizer, X, y)
                if isinstance(schedule, OneCycleLR):
                    schedule.step()
            if not isinstance(schedule, OneCycleLR):
                schedule.step()


def rate_cut_where_the_loss_stays() -> None:
    X, y = classes()
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), 0.3)
    schedule = ReduceLROnPlateau(optimizer, patience=1)
    for _ in range(20):
        schedule.step(trained(model, optimizer, X, y, 2))


def conversions_that_are_taken() -> None:
    X, y = classes()
    X = X.double()
    model = Classifier()
    model.float()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(12):
        _ = X.float()
        trained(model, optimizer, X.float(), y)
        X.double()


class Mindful(Classifier):
    def forward(self, X: Tensor) -> Tensor:
        kept = nn.functional.dropout(torch.tanh(self.hidden(X)), 0.4, training=self.training)
        return self.head(kept)


def dropout_that_follows_the_mode() -> None:
    X, y = classes()
    model = Mindful()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(4):
        model.train()
        trained(model, optimizer, X[:180], y[:180], 5)
        model.eval()
        with torch.no_grad():
            model(X[180:]).argmax(1)


SOUND: list[Program] = [
    dropout_that_follows_the_mode,
    best_kept_in_a_copy,
    state_given_from_one_network_to_another,
    evaluation_seeded_in_a_fork,
    seeded_once_for_the_data_and_once_for_the_network,
    whole_set_in_a_shuffled_loader,
    gradients_of_inputs_in_evaluation_mode,
    frozen_network_in_evaluation_mode_beside_a_head,
    accumulated_with_a_rate_to_match,
    schedules_that_are_right,
    rate_cut_where_the_loss_stays,
    conversions_that_are_taken,
]


@pytest.mark.parametrize("program", SOUND, ids=lambda one: str(getattr(one, "__name__", "")))
def test_a_habit_that_only_looks_alike_gets_no_warning(program: Program) -> None:
    assert [finding for finding in told(program) if finding.severity != "note"] == []
