from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from dlbook.files import write_atomically
from dlbook.history import History


@pytest.fixture
def history() -> History:
    history = History(settings={"task": "digits", "lr": 0.001, "hidden": [64, 64], "device": None})
    history.record(train_loss=2.3, seconds=0.5)
    history.record(train_loss=1.1, seconds=0.25)
    return history


def damaged(history: History, path: Path, change: Any) -> None:
    history.save(path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_epochs_are_counted_from_one(history: History) -> None:
    assert history["epoch"] == [1, 2]
    assert len(history) == 2
    assert "train_loss" in history
    assert "test_loss" not in history


def test_what_is_saved_is_loaded_again(history: History, tmp_path: Path) -> None:
    history.save(tmp_path / "history.json")
    assert History.load(tmp_path / "history.json") == history


def test_a_diverged_run_survives_saving_as_strict_json(tmp_path: Path) -> None:
    history = History()
    for loss in (math.inf, -math.inf, math.nan):
        history.record(train_loss=loss)
    history.save(tmp_path / "history.json")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    json.loads((tmp_path / "history.json").read_text(), parse_constant=refuse)
    losses = History.load(tmp_path / "history.json")["train_loss"]
    assert losses[:2] == [math.inf, -math.inf]
    assert math.isnan(losses[2])


def test_an_unknown_name_is_answered_with_the_names_there_are(history: History) -> None:
    with pytest.raises(ValueError, match=r"no 'loss' in this history: it has epoch, train_loss"):
        history["loss"]
    with pytest.raises(ValueError, match="no epochs yet"):
        History()["train_loss"]


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ({"train_loss": 1.0}, ValueError, "expected epoch, train_loss, seconds, got epoch, train_"),
        ({"train_loss": 1.0, "seconds": 1.0, "epoch": 3}, ValueError, "counts the epochs itself"),
        (
            {"train_loss": "1.0", "seconds": 1.0},
            TypeError,
            "train_loss must be a number, got '1.0'",
        ),
        ({"train_loss": [1.0], "seconds": 1.0}, TypeError, "train_loss must be a number"),
    ],
)
def test_a_bad_row_is_refused_and_changes_nothing(
    history: History, row: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        history.record(**row)
    assert len(history) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("format"), 'expected an object with "format": "dlbook.history"'),
        (lambda c: c.update(version=99), "expected version 1 of the format, got 99"),
        (lambda c: c.update(settings=[]), "expected every value in settings"),
        (lambda c: c["settings"].update(lr={"a": 1}), "expected every value in settings"),
        (lambda c: c.update(epochs={}), "expected epochs to be a list of objects"),
        (lambda c: c["epochs"].append(3), "expected epochs to be a list of objects"),
        (lambda c: c["epochs"].pop(0), "expected epoch 1 in row 1, got 2"),
        (lambda c: c["epochs"][1].pop("seconds"), "every epoch records the same names"),
        (lambda c: c["epochs"][1].update(seconds="fast"), "epoch 2: seconds must be a number"),
        (lambda c: c["epochs"][0].update(seconds=None), "epoch 1: seconds must be a number"),
    ],
)
def test_a_foreign_or_damaged_record_is_refused_with_what_is_wrong(
    history: History, tmp_path: Path, change: Any, message: str
) -> None:
    path = tmp_path / "history.json"
    damaged(history, path, change)
    with pytest.raises(ValueError, match=rf"history\.json is not a dlbook history: .*{message}"):
        History.load(path)


@pytest.mark.parametrize("content", [b"", b'{"format": "dlbook.hist', b"\xff\xfe\x00", b"[]", b"3"])
def test_a_file_that_is_no_record_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"history\.json is "):
        History.load(path)


@pytest.mark.parametrize("value", [{"a": 1}, (1, 2), [[1]], math.nan, object()])
def test_a_setting_that_json_cannot_hold_is_named_and_nothing_is_written(
    value: Any, tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match="setting 'lr' must be"):
        History(settings={"lr": value}).save(tmp_path / "history.json")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.txt"
    write_atomically(path, "old")

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
