"""The tests of the PyTorch half can run on any device, since none of them names one."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests import conftest, on_device
from tests.on_device import ELSEWHERE, FILES, ROOT, VARIABLE, WORKSPACE, all_bits

HELPERS = ("torch_runs.py", "killed/program.py")
DEVICES = re.compile(r"(cpu|cuda|mps|xpu)(:\d+)?")  # tpu and meta are there to be refused
NAMED = {
    ("test_cuda.py", None): "it holds a GPU against the CPU",
    ("test_run_state.py", "test_a_gpu_that_is_not_here_costs_its_draws_and_no_more"): (
        "the key of a state"
    ),
    ("killed/program.py", "train"): "off the CPU, PyTorch has to be told to be deterministic",
}
COMPUTES = {"fit", "evaluate", "predict", "DeviceBatches"}


def source(name: str) -> str:
    return (ROOT / "tests" / name).read_text(encoding="utf-8")


def devices_named(code: str) -> Iterator[tuple[str | None, str]]:
    """Yield each device that code names, with the function at the top level that does it."""
    for part in ast.parse(code).body:
        where = part.name if isinstance(part, ast.FunctionDef | ast.ClassDef) else None
        for node in ast.walk(part):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if DEVICES.fullmatch(node.value):
                    yield where, node.value
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".cuda"):
                yield where, ast.unparse(node)


def calls_that_leave_the_device_open(code: str) -> Iterator[str]:
    """Yield calls of what computes, by which the machine would choose the device."""
    tree = ast.parse(code)
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dlbook.pytorch")
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            module, _, name = ast.unparse(node.func).rpartition(".")
            ours = name in names if not module else module in {"pytorch", "training", "evaluation"}
            given = {keyword.arg for keyword in node.keywords}  # None is for **options
            if ours and name in COMPUTES and not given & {"device", None}:
                yield ast.unparse(node)


@pytest.mark.parametrize("name", [*FILES, *HELPERS])
def test_no_test_for_other_devices_names_one_or_leaves_it_open(name: str) -> None:
    named = {(name, where): device for where, device in devices_named(source(name))}
    exempt = {place for place in NAMED if place[0] == name}
    if (name, None) in exempt:  # the whole file
        assert named
        return
    assert named.keys() == exempt
    assert list(calls_that_leave_the_device_open(source(name))) == []


def test_a_device_that_is_named_or_left_open_would_be_found() -> None:
    code = dedent("""
        from dlbook import pytorch
        from dlbook.pytorch import fit, predict
        from dlbook.scratch import evaluate
        HERE = torch.device("cuda:1")
        def test_a():
            X.cuda(), X.to("cpu"), X.to("meta"), X.cpu()
            fit(model, loss, **options)
            fit(model, loss, device=DEVICE)
            predict(model, X)
            evaluate(model, X)
            pytorch.evaluate(model, X)
    """)
    named = [(None, "cuda:1"), ("test_a", "X.cuda()"), ("test_a", "cpu")]
    assert sorted(devices_named(code), key=str) == sorted(named, key=str)
    left_open = ["predict(model, X)", "pytorch.evaluate(model, X)"]
    assert list(calls_that_leave_the_device_open(code)) == left_open


def test_each_test_of_the_pytorch_half_runs_on_other_devices_or_the_reason_is_given() -> None:
    ours = re.compile(r"(from|import) dlbook\.pytorch|from dlbook import .*\b(pytorch|runs)\b")
    using = {
        path.name for path in (ROOT / "tests").glob("test_*.py") if ours.search(source(path.name))
    }
    assert using - {*FILES, *ELSEWHERE} == set()
    assert {*FILES} & {*ELSEWHERE} == set()
    for name in (*FILES, *ELSEWHERE):
        assert (ROOT / "tests" / name).is_file()


def test_without_a_gpu_one_line_says_that_nothing_was_run_on_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert on_device.main() == 0
    assert capsys.readouterr().out == (
        "no CUDA device: the tests of the PyTorch half were not run on a GPU\n"
    )


def test_with_a_gpu_the_selection_runs_there_and_its_status_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], *, env: dict[str, str], **_: Any) -> Any:
        started.append((command, env))
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["on_device", "-x"])
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    assert on_device.main() == 3
    ((command, environment),) = started
    assert environment[VARIABLE] == "cuda"
    assert environment.items() >= WORKSPACE.items(), "cuBLAS reads it when CUDA starts"
    assert "-x" in command
    assert command[-len(FILES) :] == [f"tests/{name}" for name in FILES]
    assert capsys.readouterr().out == "the tests of the PyTorch half, on NVIDIA H200:\n"


@pytest.mark.parametrize(
    ("device", "status", "said"),
    [
        ("tpu", pytest.ExitCode.USAGE_ERROR, "asks for 'tpu', and this machine has "),
        ("cpu", pytest.ExitCode.OK, "tests collected"),
    ],
)
def test_the_variable_chooses_the_device_and_one_that_is_not_there_is_refused(
    device: str, status: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/test_callbacks.py"],
        cwd=ROOT,
        env=os.environ | {VARIABLE: device},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert said in done.stdout + done.stderr


def test_what_is_marked_for_the_cpu_is_left_out_on_other_devices_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marked, plain = (
        SimpleNamespace(get_closest_marker={"on_the_cpu": m}.get) for m in (True, None)
    )
    told: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: told.extend(items))
    config: Any = SimpleNamespace(hook=hook)
    items: list[Any] = [marked, plain]
    monkeypatch.setattr(conftest, "ELSEWHERE", False)
    conftest.pytest_collection_modifyitems(config, items)
    assert (items, told) == ([marked, plain], [])
    monkeypatch.setattr(conftest, "ELSEWHERE", True)
    conftest.pytest_collection_modifyitems(config, items)
    assert (items, told) == ([plain], [marked])


def test_single_precision_is_whole_inside_and_as_it_was_afterwards() -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32, cudnn.allow_tf32 = True, True
        with all_bits():
            assert (matmul.allow_tf32, cudnn.allow_tf32) == (False, False)
        assert (matmul.allow_tf32, cudnn.allow_tf32) == (True, True)
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
