from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlbook.data import make_moons
from dlbook.history import History
from dlbook.pytorch import MLP, evaluate, evaluation, fit, make_loader, training
from dlbook.pytorch.data import Loader


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moons(n: int, seed: int = 0) -> tuple[Any, Any]:
    return make_moons(n, rng=np.random.default_rng(seed))


def train(epochs: int = 3, **options: Any) -> tuple[nn.Module, History]:
    model = MLP([2, 8, 2], generator=seeded())
    history = fit(
        model,
        nn.CrossEntropyLoss(),
        torch.optim.Adam(model.parameters(), lr=0.01),
        make_loader(*moons(50), batch_size=16, generator=seeded()),
        epochs=epochs,
        device="cpu",
        **options,
    )
    return model, history


class Spy(nn.Module):
    """Passes its input on and notes the mode in which it did."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[bool] = []
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, X: Tensor) -> Tensor:
        self.modes.append(self.training)
        return X * self.scale


def test_an_untrained_network_is_measured_over_examples_not_over_batches() -> None:
    X, y = moons(50)  # batches of 16, 16, 16 and 2
    model = MLP([2, 8, 2], generator=seeded())
    measured = evaluate(model, nn.CrossEntropyLoss(), make_loader(X, y, batch_size=16))
    with torch.no_grad():
        Z = model(torch.tensor(X))
        whole = nn.functional.cross_entropy(Z, torch.tensor(y)).item()
        batches = [
            nn.functional.cross_entropy(model(x), t).item()
            for x, t in make_loader(X, y, batch_size=16)
        ]
    assert measured["loss"] == pytest.approx(whole, rel=1e-6)
    assert measured["loss"] != pytest.approx(np.mean(batches), rel=1e-3), "the common mistake"
    assert measured["accuracy"] == pytest.approx(np.mean(Z.argmax(1).numpy() == y))


def test_the_training_loss_weights_a_smaller_last_batch_by_its_size() -> None:
    X, Y = np.ones((5, 1), "float32"), np.array([[0.0], [0], [0], [0], [10]], "float32")
    model = MLP([1, 1])
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    history = fit(model, nn.MSELoss(), still, make_loader(X, Y, batch_size=2), epochs=1)
    with torch.no_grad():
        expected = nn.functional.mse_loss(model(torch.tensor(X)), torch.tensor(Y)).item()
    assert history["train_loss"] == [pytest.approx(expected, rel=1e-6)]


def test_rows_hold_accuracy_and_validation_only_where_they_mean_something() -> None:
    _, history = train(validation=make_loader(*moons(20, seed=1), batch_size=8))
    names = "epoch train_loss train_accuracy validation_loss validation_accuracy seconds"
    assert [list(row) for row in history.epochs] == [names.split()] * 3
    model = MLP([1, 1])
    column = np.zeros((3, 1), "float32")
    plain = fit(
        model,
        nn.MSELoss(),
        torch.optim.SGD(model.parameters(), lr=0.1),
        make_loader(column, column, batch_size=2),
        epochs=1,
    )
    assert list(plain.epochs[0]) == ["epoch", "train_loss", "seconds"]


def test_validation_is_measured_after_the_epochs_last_step() -> None:
    held_out = make_loader(*moons(20, seed=1), batch_size=8)
    model, history = train(validation=held_out)
    measured = evaluate(model, nn.CrossEntropyLoss(), held_out)
    assert history["validation_loss"][-1] == measured["loss"]
    assert history["validation_accuracy"][-1] == measured["accuracy"]


def test_one_logit_for_two_classes_has_an_accuracy_too() -> None:
    X, y = moons(40)
    model = MLP([2, 1], generator=seeded())
    loader = make_loader(X, y[:, None].astype("float32"), batch_size=16)
    measured = evaluate(model, nn.BCEWithLogitsLoss(), loader)
    with torch.no_grad():
        probability = torch.sigmoid(model(torch.tensor(X)))[:, 0].numpy()
    assert measured["accuracy"] == pytest.approx(np.mean((probability > 0.5) == y))


def test_same_seed_same_numbers() -> None:
    first, second = train()[1], train()[1]
    for name in ("train_loss", "train_accuracy"):
        assert first[name] == second[name]


def test_training_trains_in_training_mode_and_measures_in_evaluation_mode() -> None:
    spy = Spy()
    column = np.ones((4, 1), "float32")
    loader = make_loader(column, column, batch_size=2)
    optimizer = torch.optim.SGD(spy.parameters(), lr=0.1)
    spy.eval()
    fit(spy, nn.MSELoss(), optimizer, loader, epochs=2, validation=loader)
    assert spy.modes == [False, *[True, True, False, False] * 2], "the first looks at validation"
    for mode in (True, False):
        spy.train(mode)
        evaluate(spy, nn.MSELoss(), loader)
        assert spy.training is mode, "evaluate puts the mode back"


def test_evaluating_learns_nothing_and_builds_no_graph() -> None:
    spy = Spy()
    seen: list[bool] = []
    spy.register_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    column = np.ones((4, 1), "float32")
    evaluate(spy, nn.MSELoss(), make_loader(column, column, batch_size=2))
    assert seen == [False, False]
    assert spy.scale.grad is None


@pytest.mark.parametrize("use", ["train", "evaluate"])
def test_every_batch_reaches_the_device(use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The meta device computes nothing, but refuses to mix with the CPU as a GPU does."""
    for module in (training, evaluation):
        monkeypatch.setattr(module, "best_device", lambda device: torch.device("meta"))
    model, loss = MLP([2, 2]), nn.CrossEntropyLoss(torch.ones(2))
    loader = make_loader(*moons(8), batch_size=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    runs: dict[str, Callable[[], object]] = {
        "train": lambda: fit(model, loss, optimizer, loader, epochs=1),
        "evaluate": lambda: evaluate(model, loss, loader),
    }
    with pytest.raises(RuntimeError, match="Cannot copy out of meta tensor"):  # at the very end
        runs[use]()
    assert loss.weight is not None
    assert loss.weight.device.type == "meta"


def test_what_was_recorded_survives_ctrl_c() -> None:
    class Interrupted(nn.CrossEntropyLoss):
        calls = 0

        def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002  # PyTorch's name
            self.calls += 1
            if self.calls == 7:
                raise KeyboardInterrupt
            return super().forward(input, target)

    model = MLP([2, 2])
    history = History(settings={"seed": 0})
    with pytest.raises(KeyboardInterrupt):
        fit(
            model,
            Interrupted(),
            torch.optim.SGD(model.parameters(), lr=0.1),
            make_loader(*moons(6), batch_size=2),
            epochs=5,
            history=history,
        )
    assert history["epoch"] == [1, 2]


def columns(n: int, shape: tuple[int, ...]) -> Loader:
    return make_loader(np.zeros((n, 1), "float32"), np.zeros(shape, "float32"), batch_size=2)


@pytest.mark.parametrize(
    ("loss", "loader", "options", "message"),
    [
        (nn.MSELoss(), columns(4, (4,)), {}, r"predictions' shape \(2, 1\), got \(2,\)"),
        (nn.BCEWithLogitsLoss(), columns(4, (4,)), {}, r"shape \(2, 1\), got \(2,\)"),
        (nn.MSELoss(reduction="sum"), columns(4, (4, 1)), {}, "reduction=\"mean\", got 'sum'"),
        (nn.MSELoss(), columns(4, (4, 1)), {"epochs": 0}, "epochs of at least 1, got 0"),
        (nn.MSELoss(), columns(4, (4, 1)), {"device": "tpu"}, "device 'tpu'"),
    ],
)
def test_a_run_that_would_go_wrong_in_silence_is_refused_before_anything_changes(
    loss: nn.Module, loader: Loader, options: dict[str, Any], message: str
) -> None:
    model = MLP([1, 1])
    before = nn.utils.parameters_to_vector(model.parameters()).clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=message):
        fit(model, loss, optimizer, loader, **({"epochs": 1} | options))
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), before)
    assert all(p.grad is None for p in model.parameters())
