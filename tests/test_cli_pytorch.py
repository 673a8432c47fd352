"""The command line with PyTorch: kept and gone on with, in 16 bits, compiled, in two processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dlbook import cli
from dlbook.files import Lock
from dlbook.history import History
from tests.on_device import DEVICE

DIGITS = ("train", "digits", "--backend", "pytorch", "--device", DEVICE, "--hidden", "16")
STEPS = 40  # an epoch of digits: 1,257 images in batches of 32
pytestmark = pytest.mark.usefixtures("same_bits")
NUMBERS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def dlbook_command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return int(ended.value.code or 0)


def numbers(folder: str) -> dict[str, list[float]]:
    history = History.load(f"{folder}/history.json")
    return {name: history[name] for name in NUMBERS}


@pytest.fixture
def expected() -> dict[str, list[float]]:
    """The numbers of three epochs that nothing interrupted."""
    assert dlbook_command(*DIGITS, "--epochs", "3", "--out", "whole") == 0
    return numbers("whole")


def interrupted_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Ctrl-C come when the optimizer is about to make its next step."""
    made = 0
    whole_step = torch.optim.Adam.step

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal made
        if made == step:
            raise KeyboardInterrupt
        made += 1
        return whole_step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.Adam, "step", counted)


def test_a_run_stopped_by_ctrl_c_says_how_to_go_on_and_ends_with_the_same_numbers(
    expected: dict[str, list[float]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = [*DIGITS, "--epochs", "3", "--out", "out", "--checkpoint", "kept"]
    with monkeypatch.context() as patch:
        interrupted_at(STEPS + 10, patch)
        assert dlbook_command(*command, "--checkpoint-every", "7") == 130
    assert capsys.readouterr().err == (
        "dlbook: stopped after epoch 1: record and curves are in out; "
        "the same command with --resume goes on from kept/step-00000049.pt\n"
    )
    assert len(History.load("out/history.json")) == 1
    assert dlbook_command(*command, "--resume") == 0, "the record of its own earlier part is no bar"
    assert numbers("out") == expected


def test_before_the_first_epoch_ends_ctrl_c_names_the_checkpoint_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_at(5, monkeypatch)
    kept = ["--checkpoint", "kept", "--checkpoint-every", "4"]
    assert dlbook_command(*DIGITS, *kept) == 130
    assert capsys.readouterr().err == (
        "dlbook: stopped before the first epoch ended: nothing was recorded; "
        "the same command with --resume goes on from kept/step-00000004.pt\n"
    )


def test_a_killed_run_goes_on_by_the_same_command_and_ends_with_the_same_numbers(
    expected: dict[str, list[float]], tmp_path: Path
) -> None:
    script = (
        "import os, signal, torch, dlbook.cli\n"
        "whole_step, made = torch.optim.Adam.step, 0\n"
        "def step(self, *arguments, **options):\n"
        "    global made\n"
        f"    if made == {2 * STEPS + 10}:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    made += 1\n"
        "    return whole_step(self, *arguments, **options)\n"
        "torch.optim.Adam.step = step\n"
        "dlbook.cli.main()"
    )
    command = [*DIGITS, "--epochs", "3", "--out", "out", "--checkpoint", "kept", "--resume"]
    done = subprocess.run([sys.executable, "-c", script, *command], cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not list(Path("out").iterdir()), "nothing was recorded"
    assert dlbook_command(*command) == 0
    assert numbers("out") == expected


def test_a_run_that_is_done_goes_on_for_more_epochs(
    expected: dict[str, list[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*DIGITS, "--out", "out", "--checkpoint", "kept"]
    assert dlbook_command(*command, "--epochs", "2") == 0
    assert dlbook_command(*command, "--epochs", "3", "--resume") == 0
    assert numbers("out") == expected
    capsys.readouterr()
    assert dlbook_command(*command, "--epochs", "2", "--resume") == 2
    assert capsys.readouterr().err == (
        "dlbook: kept/step-00000120.pt has 3 epochs behind it: --epochs 2 is fewer\n"
    )


def test_a_kept_run_is_neither_started_over_nor_gone_on_with_otherwise(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [*DIGITS, "--epochs", "1", "--checkpoint", "kept"]
    assert dlbook_command(*command, "--out", "out") == 0
    capsys.readouterr()
    before = {path: path.read_bytes() for path in Path("kept").iterdir()}
    assert dlbook_command(*command, "--out", "new") == 2
    assert capsys.readouterr().err == (
        "dlbook: kept holds checkpoints, the newest step-00000040.pt: "
        "go on with --resume, or choose another --checkpoint\n"
    )
    changed = ["--seed", "3", "--lr", "0.5", "--batch-size", "8", "--amp", "bf16"]
    other = [*command, "--out", "new", "--resume", "--hidden", "8,4", "--optimizer", "sgd"]
    assert dlbook_command(*other, *changed) == 2
    assert capsys.readouterr().err == (
        "dlbook: kept/step-00000040.pt is of another run: --hidden was 16, now it is 8,4; "
        "--batch-size was 32, now it is 8; --lr was 0.001, now it is 0.5; "
        "--optimizer was adam, now it is sgd; --seed was 0, now it is 3; "
        "--amp was None, now it is bf16\n"
    )
    assert dlbook_command("train", "moons", *command[2:], "--resume", "--out", "new") == 2
    assert "task was digits, now it is moons" in capsys.readouterr().err
    assert not Path("new").exists()
    assert {path: path.read_bytes() for path in Path("kept").iterdir()} == before


def test_another_runs_record_is_not_replaced_by_one_that_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dlbook_command(*DIGITS, "--epochs", "1", "--seed", "9", "--out", "out") == 0
    kept = ["--epochs", "1", "--checkpoint", "kept", "--resume"]
    assert dlbook_command(*DIGITS, *kept, "--out", "out") == 2
    assert "replace them with --force" in capsys.readouterr().err
    assert not Path("kept").exists()
    assert dlbook_command(*DIGITS, *kept, "--out", "out", "--force") == 0


@pytest.mark.filterwarnings("always::UserWarning")  # as outside of a test
def test_a_damaged_checkpoint_is_named_in_one_line_and_the_one_before_it_used(
    expected: dict[str, list[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*DIGITS, "--out", "out", "--checkpoint", "kept"]
    assert dlbook_command(*command, "--epochs", "2") == 0
    newest = Path("kept/step-00000080.pt")
    newest.write_bytes(newest.read_bytes()[:-100])
    capsys.readouterr()
    assert dlbook_command(*command, "--epochs", "3", "--resume") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"dlbook: {newest}")
    assert line.endswith("going on with step-00000040.pt")
    assert numbers("out") == expected


def test_a_run_that_another_one_locks_out_gets_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("kept").mkdir()
    lock = Lock("kept/.lock")
    assert dlbook_command(*DIGITS, "--epochs", "1", "--checkpoint", "kept") == 1
    lock.release()
    complaint = capsys.readouterr().err
    assert complaint.startswith("dlbook: another run writes to kept")
    assert complaint.count("\n") == 1


def test_sixteen_bits_change_the_losses_a_little(expected: dict[str, list[float]]) -> None:
    """bfloat16 keeps 8 bits, fp16 11: products are off by up to 2⁻⁸, logits by some of them."""
    for amp in ("bf16", "fp16"):
        out = ["--epochs", "3", "--amp", amp, "--out", amp]
        assert dlbook_command(*DIGITS, *out) == 0
        assert History.load(f"{amp}/history.json").settings["amp"] == amp
        assert numbers(amp)["train_loss"] != expected["train_loss"]
        assert numbers(amp)["train_loss"] == pytest.approx(expected["train_loss"], rel=2**-5)


def test_the_network_is_compiled_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []

    def compile_nothing(network: nn.Module, **_: Any) -> nn.Module:
        compiled.append(network)
        return network

    monkeypatch.setattr(torch, "compile", compile_nothing)
    assert dlbook_command(*DIGITS, "--epochs", "1", "--out", "plain") == 0
    assert compiled == []
    assert dlbook_command(*DIGITS, "--epochs", "1", "--compile", "--out", "out") == 0
    assert len(compiled) == 1
    assert History.load("out/history.json").settings["compile"] is True


def test_a_network_that_cannot_be_compiled_gets_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler(network: nn.Module, **_: Any) -> nn.Module:
        from torch._inductor.exc import InvalidCxxCompiler

        raise InvalidCxxCompiler

    monkeypatch.setattr(torch, "compile", no_compiler)
    assert dlbook_command(*DIGITS, "--epochs", "1", "--compile") == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("dlbook: No working C++ compiler found")
    assert complaint.endswith(": without --compile the run needs no compiler\n")
    assert complaint.count("\n") == 1


in_two_processes = pytest.mark.on_the_cpu("through gloo; through NCCL each takes its own GPU")


def two_processes(*arguments: str) -> subprocess.Popen[str]:
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = (  # a shell that runs the suite in the background hands down an ignored SIGINT
        "import runpy, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.argv = ['torchrun', *sys.argv[1:]]\n"
        "runpy.run_module('torch.distributed.run', run_name='__main__')"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script, *start[2:], "-m", "dlbook", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        text=True,
    )


def said(errors: str) -> list[str]:
    """What the package says, without what torchrun adds."""
    return [line for line in errors.splitlines() if line.startswith("dlbook: ")]


@in_two_processes
def test_two_processes_end_with_the_numbers_of_one_and_speak_once(
    expected: dict[str, list[float]],
) -> None:
    """float32 has 24 bits, 6e-8: each step adds its gradients up in another order."""
    with two_processes(*DIGITS, "--epochs", "3", "--out", "two") as job:
        output, errors = job.communicate()
    assert job.returncode == 0, errors
    assert said(errors) == []
    assert output.count("digits, pytorch, seed 0") == 1
    assert output.count("confusion-matrix.svg") == 1
    assert History.load("two/history.json").settings["processes"] == 2
    for name, values in numbers("two").items():
        assert values == pytest.approx(expected[name], abs=1e-6)


@in_two_processes
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((*DIGITS, "--epochs", "0"), "dlbook: epochs must be 1 or more, got 0"),
        (DIGITS[:2], "dlbook: torchrun needs --backend pytorch: NumPy trains in one process"),
        (
            (*DIGITS, "--out", "taken"),
            "dlbook: taken holds history.json of an earlier run: "
            "choose another --out, or replace them with --force",
        ),
    ],
)
def test_two_processes_refuse_an_option_in_one_line(
    arguments: tuple[str, ...], complaint: str
) -> None:
    Path("taken").mkdir()
    Path("taken/history.json").write_text("mine")
    with two_processes(*arguments) as job:
        output, errors = job.communicate()
    assert job.returncode != 0
    assert output == ""
    assert said(errors) == [complaint]
    assert Path("taken/history.json").read_text() == "mine"


@in_two_processes
def test_ctrl_c_ends_two_processes_with_one_line_and_one_record() -> None:
    command = [*DIGITS, "--epochs", "5000", "--out", "out", "--checkpoint", "kept"]
    with two_processes(*command) as job:
        while not list(Path().glob("kept/step-*.pt")):
            assert job.poll() is None, "it ended by itself"
        job.send_signal(signal.SIGINT)
        _, errors = job.communicate()
    assert job.returncode != 0
    (line,) = said(errors)
    stopped = re.fullmatch(
        r"dlbook: stopped (?:after epoch (\d+): record and curves are in out|before .* recorded); "
        r"the same command with --resume goes on from kept/step-(\d+).pt",
        line,
    )
    assert stopped, errors
    if stopped[1]:
        assert len(History.load("out/history.json")) == int(stopped[1])
    assert int(stopped[2]) >= STEPS
