"""What is called after each epoch; TensorBoard's files are read back by its own reader."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

from dlbook.history import History
from dlbook.pytorch import training
from dlbook.pytorch.callbacks import TensorBoard
from dlbook.pytorch.state import Run
from tests.on_device import DEVICE
from tests.torch_runs import CLASSES, batches, network, sgd

fit = partial(training.fit, device=DEVICE)


def test_callbacks_come_in_order_after_each_epoch_and_all_of_them_although_one_ends_it() -> None:
    calls: list[tuple[str, int, int, bool]] = []

    def callback(name: str, end: int | None) -> Callable[[Run], bool | None]:
        def call(run: Run) -> bool | None:
            calls.append((name, run.epoch, len(run.history), run.model is model))
            return None if end is None else run.epoch == end

        return call

    model = network()
    called = [callback("a", None), callback("b", 2), callback("c", None)]
    history = fit(model, CLASSES, sgd(model), batches(4, 4), epochs=9, callbacks=called)
    assert calls == [(name, epoch, epoch, True) for epoch in (1, 2) for name in "abc"]
    assert len(history) == 2


def test_a_callback_sees_that_patience_ends_the_run_and_cannot_undo_it() -> None:
    seen: list[bool] = []

    def note(run: Run) -> bool:
        seen.append(run.finished)
        return False

    model = network()
    history = fit(
        model, CLASSES, sgd(model, lr=0.0), batches(4), epochs=9,
        validation=batches(4), patience=2, callbacks=[note],
    )  # fmt: skip
    assert len(history) == 3
    assert seen == [False, False, True]


def test_what_fails_in_a_callback_is_raised_with_the_epoch_recorded() -> None:
    def fails(run: Run) -> None:
        raise KeyError("no such folder")

    model, history = network(), History()
    with pytest.raises(KeyError, match="no such folder"):
        fit(model, CLASSES, sgd(model), batches(4), epochs=2, callbacks=[fails], history=history)
    assert len(history) == 1


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read what was written, by TensorBoard's own reader: step and value of each name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        name: [(event.step, event.value) for event in reader.Scalars(name)]
        for name in reader.Tags()["scalars"]
    }


def board_run(folder: Path, epochs: int = 3, **options: Any) -> History:
    model = network()
    optimizer = sgd(model, lr=0.4)
    return fit(
        model, options.pop("loss", CLASSES), optimizer, batches(4), epochs=epochs,
        validation=batches(4, seed=1), schedule=StepLR(optimizer, 1, gamma=0.5),
        callbacks=[TensorBoard(folder)], **options,
    )  # fmt: skip


def test_tensorboard_shows_each_row_of_the_history_and_the_rate(tmp_path: Path) -> None:
    history = board_run(tmp_path / "new" / "run")
    shown = read(tmp_path / "new" / "run")
    assert set(shown) == {*history.epochs[0], "lr"} - {"epoch"}
    for name in shown.keys() - {"lr"}:
        values = np.array(history[name], np.float32)  # TensorBoard keeps single precision
        assert shown[name] == list(zip([1, 2, 3], values, strict=True)), name
    assert [value for _, value in shown["lr"]] == pytest.approx([0.2, 0.1, 0.05])


def test_an_interrupted_run_has_written_its_epochs_without_being_closed(tmp_path: Path) -> None:
    class Interrupted(nn.CrossEntropyLoss):
        calls = 0

        def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002  # PyTorch's name
            self.calls += 1
            if self.calls == 6:  # a look, then two calls an epoch
                raise KeyboardInterrupt
            return super().forward(input, target)

    history = History()
    with pytest.raises(KeyboardInterrupt):
        board_run(tmp_path, loss=Interrupted(), history=history)
    assert len(history) == 2
    assert [step for step, _ in read(tmp_path)["train_loss"]] == [1, 2]


def test_a_run_that_goes_on_continues_the_curves_and_hides_epochs_made_again(
    tmp_path: Path,
) -> None:
    first = board_run(tmp_path)
    kept = History(epochs=first.epochs[:1])  # as if the checkpoint of the first epoch were the last
    second = board_run(tmp_path, epochs=1, history=kept)
    shown = read(tmp_path)["train_loss"]
    assert shown == list(zip([1, 2], np.array(second["train_loss"], np.float32), strict=True))


def test_without_tensorboard_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(torch.utils, "tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dlbook\[tensorboard\]'"):
        TensorBoard("anywhere")
