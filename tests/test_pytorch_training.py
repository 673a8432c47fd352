"""``fit`` against loops written in line, with nothing of the package in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from dlbook.history import History
from dlbook.pytorch import MLP, evaluate, evaluation, make_loader, training
from dlbook.pytorch.checkpoints import Checkpoints
from dlbook.pytorch.state import Run
from tests.on_device import DEVICE
from tests.torch_runs import (
    CLASSES,
    batches,
    every_kind_of_layer,
    joined,
    network,
    seeded,
    sgd,
    there,
    vector,
)

fit = partial(training.fit, device=DEVICE)
pytestmark = pytest.mark.usefixtures("same_bits")


def test_fit_is_the_bare_loop_to_the_bit() -> None:
    shown = batches(8, 8, 5, dtype=torch.float32)
    model, bare = (every_kind_of_layer(torch.float32) for _ in range(2))
    torch.manual_seed(1)
    adam = torch.optim.Adam(model.parameters(), 0.01)
    history = fit(model, CLASSES, adam, shown, epochs=4)

    bare.to(DEVICE)
    adam, losses = torch.optim.Adam(bare.parameters(), 0.01), []
    torch.manual_seed(1)
    for _ in range(4):
        for X, y in map(there, shown):
            adam.zero_grad()
            loss = F.cross_entropy(bare(X), y)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            losses.append(loss.item())
    for name, tensor in bare.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    means = np.average(np.reshape(losses, (4, 3)), axis=1, weights=[8, 8, 5])
    assert_allclose(history["train_loss"], means, rtol=1e-12)


def test_a_plain_dataloader_gives_the_same_run_as_in_a_bare_loop() -> None:
    """It draws a number from the global generator each time it is read."""
    shown, held_out = (TensorDataset(*batches(20, seed=seed)[0]) for seed in (0, 1))
    model, bare = every_kind_of_layer(), every_kind_of_layer().to(DEVICE)
    torch.manual_seed(1)
    loader, validation = DataLoader(shown, 8, shuffle=True), DataLoader(held_out, 8)
    fit(model, CLASSES, sgd(model), loader, epochs=3, validation=validation)
    optimizer = sgd(bare)
    torch.manual_seed(1)
    for _ in range(3):
        bare.train()
        for X, y in map(there, loader):
            optimizer.zero_grad()
            F.cross_entropy(bare(X), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        bare.eval()
        for X, _ in map(there, validation):
            bare(X)
    assert torch.equal(vector(model), vector(bare))


def test_training_learns_in_training_mode_and_measures_in_evaluation_mode_without_a_graph() -> None:
    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.modes: list[tuple[bool, bool]] = []
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, X: Tensor) -> Tensor:
            self.modes.append((self.training, torch.is_grad_enabled()))
            return X * self.scale

    spy = Spy().eval()
    pair = (torch.ones(2, 1), torch.ones(2, 1))
    fit(spy, nn.MSELoss(), sgd(spy), [pair, pair], epochs=2, validation=[pair])
    learns, measures = (True, True), (False, False)
    looks, epoch = [measures], [learns, learns, measures]
    assert spy.modes == looks + epoch + epoch


def test_validation_is_measured_after_the_epochs_last_step_over_examples_not_batches() -> None:
    held_out, model = batches(7, 7, 2, seed=1), network()
    history = fit(model, CLASSES, sgd(model), batches(8, 8), epochs=3, validation=held_out)
    X, y = there(joined(held_out))
    with torch.no_grad():
        Z = model(X)
    assert history["validation_loss"][-1] == pytest.approx(F.cross_entropy(Z, y).item(), rel=1e-12)
    assert history["validation_accuracy"][-1] == (Z.argmax(1) == y).double().mean().item()


def test_rows_hold_accuracy_and_validation_only_where_they_mean_something() -> None:
    model = network()
    history = fit(model, CLASSES, sgd(model), batches(8), epochs=3, validation=batches(4))
    names = "epoch train_loss train_accuracy validation_loss validation_accuracy seconds"
    assert [list(row) for row in history.epochs] == [names.split()] * 3
    model = MLP([1, 1])
    plain = fit(model, nn.MSELoss(), sgd(model), [(torch.zeros(3, 1),) * 2], epochs=1)
    assert list(plain.epochs[0]) == ["epoch", "train_loss", "seconds"]


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    X, y = joined(batches(50, dtype=torch.float32))

    def losses(seed: int) -> list[float]:
        model = network(dtype=torch.float32)
        loader = make_loader(X, y, batch_size=16, generator=seeded(seed))
        return fit(model, CLASSES, sgd(model), loader, epochs=3)["train_loss"]

    assert losses(0) == losses(0) != losses(1)


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ((6, 6, 6, 6), [(0, 2), (2, 4)]),
        ((6, 6, 6, 6, 6), [(0, 2), (2, 4), (4, 5)]),
        ((6, 6, 6, 1), [(0, 2), (2, 4)]),
        ((4,), [(0, 1)]),
    ],
    ids=["even", "smaller last group", "smaller last batch", "fewer batches than a group"],
)
def test_accumulated_batches_make_the_step_of_one_batch_of_all_their_examples(
    sizes: tuple[int, ...], groups: list[tuple[int, int]]
) -> None:
    shown = batches(*sizes)
    model, bare, mistaken = network(), network().to(DEVICE), network().to(DEVICE)
    history = fit(model, CLASSES, sgd(model, momentum=0.9), shown, epochs=3, accumulate=2)

    right, wrong = sgd(bare, momentum=0.9), sgd(mistaken, momentum=0.9)
    means = []
    for _ in range(3):
        total = 0.0
        for first, last in groups:
            X, y = there(joined(shown[first:last]))
            right.zero_grad()
            loss = F.cross_entropy(bare(X), y)
            loss.backward()  # type: ignore[no-untyped-call]
            right.step()
            total += len(y) * loss.item()
            wrong.zero_grad()
            for X, y in map(there, shown[first:last]):
                (F.cross_entropy(mistaken(X), y) / 2).backward()  # type: ignore[no-untyped-call]
            wrong.step()
        means.append(total / sum(sizes))
    assert_allclose(vector(model), vector(bare), rtol=0, atol=1e-12)
    assert_allclose(history["train_loss"], means, rtol=1e-12)
    if sizes != (6, 6, 6, 6):
        apart = (vector(model) - vector(mistaken)).abs().max()
        assert apart > 1e-3, "to divide the mean of each batch by 2 is the common mistake"


def test_clipping_is_that_of_a_bare_loop_to_the_bit() -> None:
    shown = batches(8, 8, 5)
    model, bare, unclipped = network(), network().to(DEVICE), network()
    fit(model, CLASSES, sgd(model), shown, epochs=4, max_norm=1.8)
    fit(unclipped, CLASSES, sgd(unclipped), shown, epochs=4)
    optimizer, norms = sgd(bare), []
    for _ in range(4):
        for X, y in map(there, shown):
            optimizer.zero_grad()
            F.cross_entropy(bare(X), y).backward()  # type: ignore[no-untyped-call]
            norms.append(float(nn.utils.clip_grad_norm_(bare.parameters(), 1.8)))
            optimizer.step()
    assert min(norms) < 1.8 < max(norms), "some steps are clipped and some are not"
    assert torch.equal(vector(model), vector(bare))
    assert not torch.equal(vector(model), vector(unclipped))


SCHEDULES: dict[str, Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]] = {
    "step": partial(lr_scheduler.StepLR, step_size=4, gamma=0.5),
    "one cycle": partial(lr_scheduler.OneCycleLR, max_lr=0.5, total_steps=9),
    "cosine": partial(lr_scheduler.CosineAnnealingLR, T_max=9),
    "warm-up": partial(lr_scheduler.LambdaLR, lr_lambda=lambda t: min(1.0, (t + 1) / 5)),
}


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES.keys())
@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_step_has_the_rate_of_a_bare_loop_that_steps_the_schedule_after_the_optimizer(
    make: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler], accumulate: int
) -> None:
    sizes = (4, 4, 4) if accumulate == 1 else (4,) * 5  # three steps an epoch
    model, rates = network(), []
    optimizer = sgd(model, momentum=0.9)
    optimizer.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
    schedule = make(optimizer)
    fit(
        model, CLASSES, optimizer, batches(*sizes),
        epochs=3, schedule=schedule, accumulate=accumulate,
    )  # fmt: skip

    bare = sgd(network(), momentum=0.9)
    schedule, expected = make(bare), []
    for _ in range(9):
        expected.append(bare.param_groups[0]["lr"])
        bare.step()
        schedule.step()
    assert rates == expected
    assert len(set(rates)) > 2


def test_the_rates_of_a_warm_up_are_those_worked_by_hand() -> None:
    model, rates = network(), []
    optimizer = sgd(model, lr=0.8)
    optimizer.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
    warm_up = lr_scheduler.LambdaLR(optimizer, lambda t: min(1.0, (t + 1) / 4))
    fit(model, CLASSES, optimizer, batches(4, 4), epochs=3, schedule=warm_up)
    assert_allclose(rates, [0.2, 0.4, 0.6, 0.8, 0.8, 0.8], rtol=1e-15)


def test_a_schedule_that_waits_for_a_plateau_goes_on_by_the_validation_loss_of_each_epoch() -> None:
    model, rates = network(), []
    optimizer = sgd(model, lr=3.0)
    plateau = partial(lr_scheduler.ReduceLROnPlateau, factor=0.5, patience=1)

    def note(run: Run) -> None:
        rates.append(run.optimizer.param_groups[0]["lr"])

    history = fit(
        model, CLASSES, optimizer, batches(4, 4), epochs=12,
        schedule=plateau(optimizer), validation=batches(20, seed=1), callbacks=[note],
    )  # fmt: skip

    idle = sgd(network(), lr=3.0)
    schedule, expected = plateau(idle), []
    for loss in history["validation_loss"]:
        schedule.step(loss)
        expected.append(idle.param_groups[0]["lr"])
    assert rates == expected
    assert len(set(rates)) > 2


def test_a_plateau_is_remembered_when_a_run_goes_on(tmp_path: Path) -> None:
    def run(epochs: int, folder: Path) -> History:
        model = network()
        optimizer = sgd(model, lr=3.0)
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        return fit(
            model, CLASSES, optimizer, batches(4, 4), epochs=epochs, schedule=plateau,
            validation=batches(20, seed=1), checkpoints=Checkpoints(folder, resume=True),
        )  # fmt: skip

    run(3, tmp_path / "parts")
    parts, whole = run(12, tmp_path / "parts"), run(12, tmp_path / "whole")
    assert parts["validation_loss"] == whole["validation_loss"]


class Told(nn.Module):
    """A loss that in evaluation mode has the values given, in turn."""

    def __init__(self, model: nn.Module, losses: list[float]) -> None:
        super().__init__()
        self.model = (model,)  # in a tuple, where PyTorch does not look for parameters
        self.losses = iter([0.0, *losses])  # the first is asked for before the run

    def forward(self, Z: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(Z, y) if self.model[0].training else Z.new_tensor(next(self.losses))


@pytest.mark.parametrize(
    ("losses", "patience", "epochs", "best"),
    [
        ([3.0, 2.0, 1.0, 1.5, 1.0, 9.0], 2, 5, 3),  # as low again is no new lowest
        ([3.0, 2.0, 2.5, 1.0, 9.0, 9.0], 2, 6, 4),
        ([1.0, 2.0, 3.0], 1, 2, 1),
        ([3.0, 1.0, 2.0, 2.0], 9, 4, 2),  # ends by itself, and has its best epoch too
        ([math.nan, 2.0, math.nan, math.inf], 2, 4, 2),
        ([math.nan, math.nan, 1.0], 2, 2, None),  # nothing was best: the last parameters stay
    ],
    ids=str,
)
def test_a_run_with_patience_ends_and_has_its_best_epoch(
    losses: list[float], patience: int, epochs: int, best: int | None
) -> None:
    model = every_kind_of_layer()
    states: list[dict[str, Tensor]] = []

    def keep(run: Run) -> None:
        states.append({name: tensor.clone() for name, tensor in run.model.state_dict().items()})

    history = fit(
        model, Told(model, losses), sgd(model), batches(8, 8), epochs=len(losses),
        validation=batches(4), patience=patience, callbacks=[keep],
    )  # fmt: skip
    assert_allclose(history["validation_loss"], losses[:epochs])
    wanted = states[-1] if best is None else states[best - 1]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
    assert wanted["1.num_batches_tracked"] == 2 * (epochs if best is None else best)


def test_early_stopping_finds_the_epoch_that_a_bare_loop_finds() -> None:
    shown, held_out = batches(10, 10), batches(200, seed=1)
    model, bare = network(), network().to(DEVICE)
    adam = torch.optim.Adam(model.parameters(), 0.05)
    history = fit(model, CLASSES, adam, shown, epochs=200, validation=held_out, patience=4)
    adam = torch.optim.Adam(bare.parameters(), 0.05)
    losses: list[float] = []
    X_val, y_val = there(held_out[0])
    while len(losses) < 200:
        for X, y in map(there, shown):
            adam.zero_grad()
            F.cross_entropy(bare(X), y).backward()  # type: ignore[no-untyped-call]
            adam.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(bare(X_val), y_val).item())
        if len(losses) - 1 - int(np.argmin(losses)) == 4:
            break
    assert_allclose(history["validation_loss"], losses, rtol=1e-12)
    assert 5 < len(history) < 200
    measured = evaluate(model, CLASSES, held_out, device=DEVICE)
    assert measured["loss"] == min(history["validation_loss"]) < history["validation_loss"][-1]


def test_a_loss_that_is_no_number_is_recorded_and_a_callback_can_end_the_run() -> None:
    (X, y), model = batches(4)[0], network()
    X[0, 0] = math.nan

    def diverged(run: Run) -> bool:
        return not math.isfinite(run.history["train_loss"][-1])

    assert np.isnan(fit(model, CLASSES, sgd(model), [(X, y)], epochs=3)["train_loss"]).all()
    again = fit(model, CLASSES, sgd(model), [(X, y)], epochs=3, callbacks=[diverged])
    assert len(again) == 1


class Interrupted(nn.CrossEntropyLoss):
    calls = 0

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002  # PyTorch's name
        self.calls += 1
        if self.calls == 7:
            raise KeyboardInterrupt
        return super().forward(input, target)


def test_what_was_recorded_survives_ctrl_c() -> None:
    model, history = network(), History(settings={"seed": 0})
    with pytest.raises(KeyboardInterrupt) as interruption:
        fit(model, Interrupted(), sgd(model), batches(2, 2, 2), epochs=5, history=history)
    assert history["epoch"] == [1, 2]
    assert "stopped after step 6, in epoch 3" in interruption.value.__notes__[0]


@pytest.mark.parametrize("use", ["train", "evaluate"])
def test_every_batch_reaches_the_device(use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The meta device computes nothing, but refuses to mix with the CPU as a GPU does."""
    for module in (training, evaluation):
        monkeypatch.setattr(module, "best_device", lambda device: torch.device("meta"))
    model, loss = network(), nn.CrossEntropyLoss(torch.ones(3, dtype=torch.float64))
    runs: dict[str, Callable[[], object]] = {
        "train": lambda: fit(model, loss, sgd(model), batches(4, 4), epochs=1),
        "evaluate": lambda: evaluate(model, loss, batches(4, 4), device=DEVICE),
    }
    with pytest.raises(RuntimeError, match="Cannot copy out of meta tensor"):  # at the very end
        runs[use]()
    assert loss.weight is not None
    assert loss.weight.device.type == "meta"


def test_a_frozen_part_stays_and_a_part_of_the_loss_may_learn_too() -> None:
    model = every_kind_of_layer()

    class Tempered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.log_temperature = nn.Parameter(torch.zeros((), dtype=torch.float64))

        def forward(self, Z: Tensor, y: Tensor) -> Tensor:
            return F.cross_entropy(Z / self.log_temperature.exp(), y)

    loss, last = Tempered(), model[4]
    before = vector(model[0])
    learned = [*last.parameters(), *loss.parameters()]
    fit(model, loss, torch.optim.SGD(learned, lr=0.1), batches(4, 4), epochs=1)
    assert torch.equal(vector(model[0]), before)
    assert loss.log_temperature != 0
