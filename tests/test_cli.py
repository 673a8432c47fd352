from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

import dlbook
from dlbook import cli, runs
from dlbook.history import History
from dlbook.runs import folder

CURVES = {"history.json", "learning-curves.png", "learning-curves.svg"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def dlbook_command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return int(ended.value.code or 0)


def files(folder: str | Path) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


@pytest.mark.parametrize(
    ("task", "backend", "drawn"),
    [
        ("delivery", "numpy", set()),
        ("blobs", "pytorch", {"decision-boundary.png", "decision-boundary.svg"}),
        ("moons", "numpy", {"decision-boundary.png", "decision-boundary.svg"}),
        ("digits", "pytorch", {"confusion-matrix.png", "confusion-matrix.svg"}),
    ],
)
def test_a_run_leaves_its_record_its_curves_and_what_it_learned(
    task: str, backend: str, drawn: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--epochs", "2", "--hidden"]
    hidden = "" if task in ("delivery", "blobs") else "8,4"
    out = ["--out", "deep/er", "--backend", backend, "--seed", "7"]
    assert dlbook_command("train", task, *arguments, hidden, *out) == 0
    assert files("deep/er") == CURVES | drawn
    history = History.load("deep/er/history.json")
    assert len(history) == 2
    assert history.settings["seed"] == 7
    assert history.settings["hidden"] == ([8, 4] if hidden else [])
    for name in files("deep/er"):
        if name.endswith(".png"):
            corner = matplotlib.image.imread(Path("deep/er", name))[0, 0]
            assert corner.tolist() == [1, 1, 1, 1], "a picture stands on white"
    shown = capsys.readouterr()
    assert f"{task}, {backend}, seed 7" in shown.out
    assert "history.json" in shown.out
    assert shown.err == ""


def test_the_table_shows_the_delivery_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert dlbook_command("train", "delivery") == 0
    table = capsys.readouterr().out
    assert "3.4000 minutes a mile" in table
    assert "5.2000 minutes" in table
    assert "29.0 minutes" in table
    assert files("runs/delivery-numpy") == CURVES


def test_an_earlier_run_is_replaced_only_by_force(capsys: pytest.CaptureFixture[str]) -> None:
    assert dlbook_command("train", "moons", "--epochs", "1", "--out", "kept") == 0
    Path("kept/notes.txt").write_text("mine")
    before = Path("kept/history.json").read_bytes()
    capsys.readouterr()
    assert dlbook_command("train", "delivery", "--out", "kept") == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("dlbook: kept holds history.json, learning-curves.png")
    assert complaint.endswith("choose another --out, or replace them with --force\n")
    assert Path("kept/history.json").read_bytes() == before
    assert dlbook_command("train", "delivery", "--out", "kept", "--force") == 0
    assert files("kept") == CURVES | {"notes.txt"}, "the folder tells of one run"


def test_a_diverging_run_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert dlbook_command("train", "moons", "--lr", "1e30", "--epochs", "2", "--out", "d") == 0
    assert capsys.readouterr().err == (
        "dlbook: the run diverged: its loss is no number any more; try a smaller --lr\n"
    )
    assert files("d") == CURVES


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("trian digits", "No such command 'trian'. Did you mean 'train'?"),
        ("train", "Missing argument 'task'. Choose from: delivery, blobs, moons, digits"),
        (
            "train digit",
            "Invalid value for 'task': "
            "'digit' is not one of 'delivery', 'blobs', 'moons', 'digits'.",
        ),
        (
            "train moons --backend torch",
            "Invalid value for '--backend': 'torch' is not one of 'numpy', 'pytorch'.",
        ),
        ("train moons --optimizer sdg", "'sdg' is not one of 'sgd', 'adam'."),
        ("train moons --hidden 64,x", "--hidden takes widths such as 64,64, got '64,x'"),
        ("train moons --hidden 64,0", "hidden widths must be from 1 to 10000, got 0"),
        ("train delivery --hidden 4", "trains one linear neuron: leave out --hidden"),
        ("train moons --lr -0.1", "lr, the rate, must be above 0 and finite, got -0.1"),
        ("train moons --lr fast", "Invalid value for '--lr': "),
        ("train moons --epochs 0", "epochs must be 1 or more, got 0"),
        ("train moons --batch-size 0", "batch-size must be 1 or more, got 0"),
        ("train moons --seed -1", "seed must be from 0 up"),
        ("train moons --out file/below", "cannot write to file/below: Not a directory"),
        ("train moons --out file", "cannot write to file: File exists"),
        ("train moons --device cuda", "--device cuda needs --backend pytorch"),
        ("train moons --amp bf16", "--amp bf16 needs --backend pytorch"),
        ("train moons --compile", "--compile needs --backend pytorch"),
        ("train moons --checkpoint c", "--checkpoint needs --backend pytorch"),
        ("train moons --backend pytorch --amp fp8", "'fp8' is not one of 'bf16', 'fp16'."),
        ("train moons --backend pytorch --resume", "--resume needs --checkpoint DIR, the folder"),
        ("train moons --checkpoint-every 9", "--checkpoint-every needs --checkpoint DIR"),
        ("train moons --checkpoint c --checkpoint-every 0", "checkpoint-every must be 1 or more"),
        ("train moons --backend pytorch --checkpoint file", "cannot write to file: File exists"),
        ("train moons --speed 3", "No such option: --speed"),
        ("train moons extra", "Got unexpected extra argument"),
    ],
)
def test_a_bad_option_gets_one_clear_line_and_leaves_nothing(
    arguments: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").write_text("in the way")
    assert dlbook_command(*arguments.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("dlbook: ")
    assert complaint in shown.err
    assert shown.err.count("\n") == 1
    assert files(".") == {"file"}


def test_a_missing_device_is_answered_with_what_there_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DLBOOK_DEVICE", raising=False)
    arguments = ["train", "moons", "--backend", "pytorch"]
    assert dlbook_command(*arguments, "--device", "tpu") == 2
    message = r"dlbook: device 'tpu' \({}\) is not available: this machine has .*cpu\n"
    assert re.fullmatch(message.format("argument"), capsys.readouterr().err)
    monkeypatch.setenv("DLBOOK_DEVICE", "tpu")
    assert dlbook_command(*arguments) == 2
    assert re.fullmatch(message.format("DLBOOK_DEVICE"), capsys.readouterr().err)
    assert files(".") == set()


def test_a_write_that_fails_in_the_end_gets_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "write_atomically", full)
    assert dlbook_command("train", "delivery") == 1
    assert capsys.readouterr().err == "dlbook: [Errno 28] No space left on device\n"


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    dlbook_command()
    shown = capsys.readouterr()
    assert "train" in shown.out
    assert shown.err == ""


def test_the_version_costs_neither_torch_nor_matplotlib() -> None:
    script = (
        "import sys, dlbook.cli\n"
        "try:\n    dlbook.cli.main(['--version'])\n"
        "except SystemExit as ended:\n"
        "    print(ended.code, [m for m in ('torch', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == f"dlbook {dlbook.__version__}\n0 []\n", done.stderr


def test_ctrl_c_before_the_first_epoch_keeps_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train", interrupted)
    assert dlbook_command("train", "moons") == 130
    assert capsys.readouterr().err == (
        "dlbook: stopped before the first epoch ended: nothing was recorded\n"
    )
    assert files("runs/moons-numpy") == set()


def test_ctrl_c_keeps_what_was_recorded(tmp_path: Path) -> None:
    """A real SIGINT to a real process, once its bar has shown the loss and rate of an epoch."""
    script = (  # a shell that runs the suite in the background hands down an ignored SIGINT
        "import signal, dlbook.cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "dlbook.cli.main()"
    )
    arguments = ["train", "moons", "--epochs", "5000", "--out", "out"]
    environment = os.environ | {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        shown = b""
        while not re.search(rb"epoch [1-9]\d*/5000 .* loss 0\.\d{4}  rate 0\.01 ", shown):
            piece = os.read(process.stderr.fileno(), 4096)
            assert piece, f"ended before an epoch was shown: {shown.decode()}"
            shown += piece
        process.send_signal(signal.SIGINT)
        output, rest = process.communicate()
    assert process.returncode == 130, rest.decode()
    last = rest.decode().splitlines()[-1]
    stopped = re.search(r"dlbook: stopped after epoch (\d+): record and curves are in out$", last)
    assert stopped, rest.decode()
    assert output == b""
    assert b"Traceback" not in rest
    assert files(tmp_path / "out") == CURVES
    epochs = json.loads((tmp_path / "out/history.json").read_text())["epochs"]
    assert len(epochs) == int(stopped[1]) >= 1
