"""``dlbook doctor`` and ``python -m dlbook.doctor`` run a program as Python itself would run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from dlbook import cli
from dlbook.doctor import catalog, explain
from dlbook.doctor.discovery import watch_everything

TRAINING = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

def train(clear=False, steps=12):
    for _ in range(steps):
        if clear:
            optimizer.zero_grad()
        loss = (model(torch.ones(4, 2)) - 1).square().mean()
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.9g}")
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def program(text: str, name: str = "train.py") -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return name


def doctor(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", *arguments])
    return int(ended.value.code or 0)


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, **options)


def test_the_report_comes_after_the_programs_own_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(program(TRAINING + "train()\nprint('done')")) == 1
    printed = capsys.readouterr()
    own, report = printed.out.split("\n\n", 1)
    assert own.splitlines()[-1] == "done"
    assert report.startswith("1 error in 12 steps.")
    assert "error: gradients are never cleared (train.py:15) [gradients-not-cleared]" in report
    assert "book: pitfalls.html#gradients-not-cleared" in report
    assert printed.err == ""


def test_a_sound_program_is_a_status_of_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(program(TRAINING + "train(clear=True)")) == 0
    assert capsys.readouterr().out.endswith("\n\nNo fault found in 12 steps.\n")


def test_what_stands_behind_the_program_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    text = """
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--every", type=int)
    parser.add_argument("-m", action="store_true")
    parser.add_argument("names", nargs="*")
    print(parser.parse_args())
    """
    arguments = ["--lr", "0.1", "--json", "--every", "3", "-m", "--", "--list", "x"]
    assert doctor(program(text), *arguments) == 0
    wanted = "Namespace(lr=0.1, json=True, every=3, m=True, names=['--list', 'x'])"
    assert capsys.readouterr().out.splitlines()[0] == wanted
    assert doctor("train.py", "-h") == 0
    assert capsys.readouterr().out.startswith("usage: train.py [-h] [--lr LR]")


def test_a_program_finds_of_itself_what_python_lets_it_find(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = """
    import pickle, sys
    from pathlib import Path
    import neighbor

    class Point:
        pass

    def show():
        print([__name__, __file__, sys.argv[1:], sys.path[0], neighbor.name, __package__])
        print(type(pickle.loads(pickle.dumps(Point()))) is Point is sys.modules["__main__"].Point)

    if __name__ == "__main__":
        show()
    """
    path = program(text, "deep/train.py")
    program("name = 'neighbor'", "deep/neighbor.py")
    before = sys.argv, sys.path[:], sys.modules["__main__"]
    assert doctor(path, "a", "b") == 0
    assert (sys.argv, sys.path, sys.modules["__main__"]) == before
    shown = capsys.readouterr().out.splitlines()[:2]
    assert shown == python(path, "a", "b").stdout.splitlines()
    assert shown[1] == "True"


def test_a_program_that_raised_is_told_of_as_python_tells(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = program(TRAINING + "train(clear=True)\nmodel(torch.ones(4, 3))")
    alone = python(path)
    assert doctor(path) == 1, "it raised, though the doctor found nothing before"
    printed = capsys.readouterr()
    assert "in 12 steps." in printed.out
    assert printed.err == alone.stderr


def test_a_fault_is_named_though_the_program_raised(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(program(TRAINING + "train()\nraise OSError('disk full')")) == 1
    printed = capsys.readouterr()
    assert "gradients are never cleared" in printed.out
    assert printed.err.endswith("OSError: disk full\n")


def test_a_syntax_error_is_told_of_as_python_tells(capsys: pytest.CaptureFixture[str]) -> None:
    path = program("def broken(:\n    pass\n")
    assert doctor(path) == 1
    assert capsys.readouterr().err == python(path).stderr


@pytest.mark.parametrize(
    ("ending", "told"), [("3", ""), ("None", ""), ("'no data'", "no data\n"), ("", "")]
)
def test_after_sys_exit_the_doctors_status_counts(
    ending: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(program(TRAINING + f"train(clear=True)\nimport sys; sys.exit({ending})")) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith("No fault found in 12 steps.\n")
    assert printed.err == told
    assert doctor(program(TRAINING + f"train()\nimport sys; sys.exit({ending})")) == 1


def test_a_program_that_puts_another_output_in_place_leaves_the_doctors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # so that it is put back afterwards
    text = TRAINING + "train()\nimport io, sys\nsys.stdout = io.StringIO()\nprint('unheard')"
    assert doctor(program(text)) == 1
    printed = capsys.readouterr().out
    assert "gradients are never cleared" in printed
    assert "unheard" not in printed


@pytest.mark.parametrize("how", [["-m", "dlbook.doctor"], ["-m", "dlbook", "doctor"]])
def test_ctrl_c_ends_the_program_and_not_the_report(how: list[str]) -> None:
    path = program(TRAINING + "train()\nprint('ready', flush=True)\ntrain(steps=10**9)")
    watched = subprocess.Popen(
        [sys.executable, *how, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert watched.stdout is not None
    assert watched.stdout.readline().startswith("loss")
    assert watched.stdout.readline() == "ready\n"
    watched.send_signal(signal.SIGINT)
    out, err = watched.communicate(timeout=100)
    assert watched.returncode == 1, err
    assert "gradients are never cleared" in out
    assert err.endswith("KeyboardInterrupt\n")


def test_ctrl_c_where_nothing_was_found_is_the_shells_130(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert doctor(program("raise KeyboardInterrupt")) == 130
    assert "No fault found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "expected a program: dlbook doctor train.py [ARGUMENTS]"),
        (["no_such.py"], "there is no program no_such.py"),
        (["."], "there is no program ."),
        (["-m", "no_such"], "there is no module no_such"),
        (["-m", "json.no_such"], "there is no module json.no_such"),
        (["-m", ".x"], "there is no module .x"),
        (["--ignore", "no-such", "no_such.py"], "no code 'no-such': there are "),
        (["--explain", "no-such"], "no code 'no-such': there are "),
        (["--every", "0", "no_such.py"], "Invalid value for '--every': Input should be"),
        (["--jsn", "no_such.py"], "No such option: --jsn"),
    ],
)
def test_what_cannot_be_run_gets_one_clear_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"dlbook: {complaint}")
    assert printed.err.count("\n") == 1


def test_an_error_within_a_module_is_no_missing_module() -> None:
    program("import no_such_neighbor", "package/__init__.py")
    program("print(1)", "package/module.py")
    with pytest.raises(ModuleNotFoundError, match="no_such_neighbor"):
        cli.main(["doctor", "-m", "package.module"])


def test_json_is_the_last_line_and_holds_the_whole_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert doctor("--json", program(TRAINING + "train()")) == 1
    *_, last = capsys.readouterr().out.splitlines()
    told = json.loads(last)
    assert told["verdict"] == "1 error in 12 steps."
    finding = told["findings"][0]
    assert (finding["code"], finding["where"]) == ("gradients-not-cleared", "train.py:15")
    assert finding["link"] == "pitfalls.html#gradients-not-cleared"


def test_what_is_ignored_is_not_reported(capsys: pytest.CaptureFixture[str]) -> None:
    codes = ["gradients-not-cleared", "graphs-kept"]
    options = [word for code in codes for word in ("--ignore", code)]
    assert doctor(*options, program(TRAINING + "train()")) == 0
    assert "No fault found" in capsys.readouterr().out


def test_every_reaches_the_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    made = watch_everything.__init__

    def noted(self: watch_everything, **options: Any) -> None:
        asked.append(options["every"])
        made(self, **options)

    monkeypatch.setattr(watch_everything, "__init__", noted)
    assert doctor("--every", "7", program("")) == 0
    assert asked == [7]


def test_all_that_can_be_found_is_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--list") == 0
    listed = capsys.readouterr().out.splitlines()
    assert dict(line.split(maxsplit=1) for line in listed) == catalog()
    assert doctor("--explain", "graphs-kept") == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{catalog()['graphs-kept']}\n\n{explain('graphs-kept')}\n")
    assert told.endswith("book: pitfalls.html#graphs-kept\n")


def test_of_several_processes_the_first_speaks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert doctor(program(TRAINING + "train()")) == 0
    assert "steps." not in capsys.readouterr().out
    assert doctor(program("raise OSError")) == 1, "torchrun must know"
    monkeypatch.setenv("RANK", "0")
    assert doctor(program(TRAINING + "train()")) == 1
    assert "steps." in capsys.readouterr().out


LOADING = """
import sys
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
{imported}

class Points(Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, i):
        return torch.full((2,), i / 32), Label(i / 16)

class Label:
    def __init__(self, value):
        self.value = value

def together(items):
    X, labels = zip(*items)
    return torch.stack(X), [Label(label.value + shift) for label in labels]

def main():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for start in sys.argv[1:]:
        loader = DataLoader(
            Points(), 8, shuffle=True, num_workers=1, collate_fn=together,
            multiprocessing_context=start,
        )
        for X, labels in loader:
            y = torch.tensor([[label.value] for label in labels])
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(X), y)
            loss.backward()
            optimizer.step()
            print(start, loss.item().hex())
    torch.save(model[0], "kept.pt")

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("module", [False, True], ids=["file", "module"])
def test_workers_find_what_the_program_defines(module: bool) -> None:
    program("", "package/__init__.py")
    program("shift = 0.5", "package/shifts.py")
    imported = "from .shifts import shift" if module else "from shifts import shift"
    path = program(LOADING.format(imported=imported), "package/train.py")
    how = ["-m", "package.train"] if module else [path]
    watched = python("-m", "dlbook.doctor", *how, "fork", "spawn")
    assert watched.stderr == ""
    assert watched.stdout.endswith("\nNo fault found in 8 steps.\n")
    assert [line.split()[0] for line in watched.stdout.splitlines()[:8]] == ["fork"] * 4 + [
        "spawn"
    ] * 4
    assert watched.returncode == 0
