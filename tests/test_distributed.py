from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from dlbook.pytorch import evaluate
from dlbook.pytorch.checkpoints import Checkpoints, load_weights
from dlbook.pytorch.distributed import launched, process_count, process_group
from dlbook.pytorch.places import Place, own_device
from tests.processes import cases, dying
from tests.processes.group import endings, environment, summary_of, together

Results = dict[str, Any]

SECOND = Place(rank=1, world=2, local_rank=1, local_world=2)


@pytest.fixture(scope="module", params=[2, 3], ids=["two", "three"])
def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each process of a group got: started once, for all tests."""
    folder = tmp_path_factory.mktemp("group")
    work = partial(cases.everything, folder=folder / "kept")
    return [
        process | {"kept": folder / "kept"} for process in together(request.param, work, folder)
    ]


@pytest.fixture(scope="module")
def alone() -> Results:
    """What one process gets."""
    return {name: case() for name, case in cases.EQUAL.items()}


def assert_close(got: Results, wanted: Results) -> None:
    """Compare a run with another: parameters and every number of the history within 1e-10."""
    for ours, theirs in zip(got.get("parameters", []), wanted.get("parameters", []), strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)
    assert len(got["history"]) == len(wanted["history"])
    for ours, theirs in zip(got["history"], wanted["history"], strict=True):
        assert ours == pytest.approx(theirs, rel=0, abs=1e-10)
    assert got.get("rate") == wanted.get("rate")


@pytest.mark.parametrize("name", cases.EQUAL)
def test_a_group_of_processes_does_what_one_process_does(
    name: str, group: list[Any], alone: Results
) -> None:
    for process in group:
        assert_close(process["equal"][name], alone[name])


def test_all_processes_end_with_the_same_bits(group: list[Any]) -> None:
    for name, first in group[0]["equal"].items():
        for process in group[1:]:
            parameters = zip(
                process["equal"][name].get("parameters", []),
                first.get("parameters", []),
                strict=True,
            )
            assert all(torch.equal(ours, theirs) for ours, theirs in parameters)
            assert process["equal"][name]["history"] == first["history"]


@pytest.mark.parametrize("name", cases.SHARDED)
def test_a_distributed_network_learns_what_a_whole_one_does(name: str, group: list[Any]) -> None:
    wanted = cases.SHARDED[name]()  # alone, shard changes nothing
    for process in group:
        assert_close(process["sharded"][name], wanted)


def test_a_distributed_network_goes_on_from_a_checkpoint_which_a_whole_one_can_read(
    group: list[Any],
) -> None:
    wanted = cases.trained(optimizer=cases.adam, validation=cases.held_out(), patience=5)
    for process in group:
        assert_close(process["unequal"]["gone on"], wanted)
    model = cases.network(seed=9)
    load_weights(group[0]["kept"], model)
    for ours, theirs in zip(model.parameters(), wanted["parameters"], strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)


def test_each_process_holds_its_part_of_a_distributed_network(group: list[Any]) -> None:
    held = [process["unequal"]["held"] for process in group]
    whole = 64 * 128 + 128 + 128 * 9 + 9
    assert sum(part for part, _ in held) == whole
    assert {total for _, total in held} == {whole}
    assert max(part for part, _ in held) <= 1.05 * whole / len(group)


def test_the_cases_reach_what_they_are_there_for(alone: Results) -> None:
    plain = alone["plain"]["parameters"]
    for name in ("accumulated", "clipped", "scheduled", "left-out rest"):
        assert not torch.allclose(alone[name]["parameters"][0], plain[0], atol=1e-3)
    assert len(alone["plain"]["history"]) == 5
    assert len(alone["stopped early"]["history"]) < 5
    assert alone["scheduled"]["rate"] == 0.3 / 8
    assert list(cases.loader().batch_sampler)[-1:] != []  # type: ignore[arg-type]
    assert len(list(cases.loader().batch_sampler)[-1]) == 1, "a share of it is empty"  # type: ignore[arg-type]


def test_processes_begin_with_the_parameters_buffers_and_order_of_the_first(
    group: list[Any],
) -> None:
    starts, orders = cases.different_starts(), cases.different_orders()  # alone: those of rank 0
    for process in group:
        assert_close(process["unequal"]["different starts"], starts)
        assert_close(process["unequal"]["different orders"], orders)


@pytest.mark.parametrize("how", ["parallel", "shard"])
def test_with_batch_normalization_all_processes_measure_and_end_with_one_network(
    how: str, group: list[Any]
) -> None:
    first, *others = (process["unequal"]["normalized"][how] for process in group)
    for other in others:
        assert all(map(torch.equal, other["state"].values(), first["state"].values()))
    model = cases.batch_normalized()
    model.load_state_dict(first["state"])
    measured = evaluate(model, nn.CrossEntropyLoss(), cases.held_out())
    assert first["history"][-1]["validation_loss"] == pytest.approx(measured["loss"], abs=1e-10)
    alone = cases.normalized(lambda model: model)
    assert not torch.allclose(alone["parameters"][0], first["parameters"][0], atol=1e-4), "said so"


def test_the_shares_of_all_processes_make_up_each_batch(group: list[Any]) -> None:
    batches = list(cases.loader().batch_sampler)  # type: ignore[arg-type]
    shares = [process["unequal"]["shares"] for process in group]
    for whole, *parts in zip(batches, *shares, strict=True):
        assert sorted(itertools.chain(*parts)) == sorted(whole)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_padded_shares_count_examples_twice_and_shares_of_batches_do_not(
    group: list[Any], alone: Results
) -> None:
    (right,) = alone["evaluated"]["history"]
    for process in group:
        assert process["unequal"]["padded"]["seen"] == -(-13 // len(group)) * len(group) > 13
        assert process["unequal"]["padded"]["loss"] != pytest.approx(right["loss"], rel=1e-3)
        assert process["equal"]["evaluated"]["history"][0]["loss"] == pytest.approx(right["loss"])


def test_a_loader_that_cannot_be_shared_out_is_refused(group: list[Any]) -> None:
    message = (
        f"expected a loader that shares its batches out among {len(group)} processes, as "
        "make_loader and loader_of make them, got a DataLoader with an order of its own: each "
        "process would learn from, or count, examples that others have too"
    )
    for process in group:
        assert process["unequal"]["foreign loader"] == message
        assert process["unequal"]["foreign validation"] == message


def test_data_that_differ_between_processes_are_refused_where_they_do(group: list[Any]) -> None:
    assert group[0]["unequal"]["other data"] == "not refused"
    for rank, process in enumerate(group[1:], start=1):
        assert process["unequal"]["other data"] == (
            f"expected the same batches in all processes: n is {22 + rank} in rank {rank} and "
            "22 in rank 0"
        )


def test_tied_parameters_are_refused_with_their_names(group: list[Any]) -> None:
    for process in group:
        assert process["unequal"]["tied"] == (
            "expected layers with parameters of their own, got 0.weight and 1.weight in one: a "
            "network with tied parameters cannot be distributed layer by layer"
        )


@pytest.mark.parametrize("how", cases.WRAPPED)
def test_gradients_are_exchanged_only_in_the_last_backward_of_a_step(
    how: str, group: list[Any]
) -> None:
    before, after = zip(*(p["unequal"]["gradients"][how] for p in group), strict=True)
    if how == "sharded":
        assert not any(before), "they wait, whole, for the exchange"
    else:
        assert not torch.allclose(before[0][0], before[1][0], atol=1e-6), "each has its own"
    for other in after[1:]:
        assert all(map(torch.equal, other, after[0]))


def test_processes_tell_each_other_numbers_flags_and_decisions(group: list[Any]) -> None:
    world = len(group)
    for rank, process in enumerate(group):
        results = process["unequal"]
        assert results["sum"] == sum(range(1, world + 1))
        assert results["any"] == (True, False)
        assert results["first"] == {"rank": 0}
        assert results["gathered"] == ([10 * r for r in range(world)] if rank == 0 else None)


def test_on_the_cpu_processes_share_the_cores(group: list[Any]) -> None:
    cores = len(os.sched_getaffinity(0))
    for process in group:
        assert process["device"] == "cpu"
        assert process["unequal"]["launched"]
        assert process["unequal"]["threads"] == max(1, cores // len(group))


def said(errors: str) -> list[str]:
    """Return the lines that are the package's own."""
    return [line for line in errors.splitlines() if line.startswith("dlbook: ")]


def stopped(folder: Path, step: int = 9, epoch: int = 3) -> str:
    return (
        f"stopped after step {step}, in epoch {epoch}; the newest checkpoint is "
        f"{folder / f'step-{step:08d}.pt'}: start again with resume to go on"
    )


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("killed", "rank 1 of 3 ended without a word (killed, or out of memory?)"),
        ("left", "rank 1 of 3 ended without a word (killed, or out of memory?)"),
        ("failed", "rank 1 of 3 failed: ArithmeticError: nothing adds up any more"),
        ("terminated", "rank 1 of 3 was told to end (SIGTERM)"),
        ("hung", "rank 1 of 3 did not answer for 10 s"),
    ],
)
def test_a_process_that_ends_too_early_ends_the_job_with_one_line_and_a_checkpoint(
    how: str, what: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    work = partial(dying.train, how=how, folder=kept)
    statuses, errors = endings(3, work, tmp_path, timeout=10 if how == "hung" else 200)
    assert statuses[0], errors
    assert statuses[2], errors
    assert bool(statuses[1]) == (how != "left"), "it left with status 0"
    assert said(errors) == [f"dlbook: {what}; {stopped(kept)}"]
    assert errors.count("Traceback") == (how == "failed"), errors
    assert Checkpoints(kept).latest() == kept / "step-00000009.pt"
    told = [rank for rank in range(3) if summary_of(tmp_path, rank).exists()]
    assert told == ([1] if how == "failed" else []), "torchrun's summary shows what it is told"
    for rank in told:
        reason = json.loads(summary_of(tmp_path, rank).read_text())["message"]
        assert reason["message"] == "ArithmeticError: nothing adds up\nany more"


def test_what_all_processes_refuse_is_said_by_one(tmp_path: Path) -> None:
    statuses, errors = endings(2, dying.refused, tmp_path)
    assert all(statuses), errors
    (line,) = said(errors)
    assert re.fullmatch(r"dlbook: rank [01] of 2 failed: ValueError: expected epochs .*", line)
    assert errors.count("Traceback") == 1


def test_a_process_that_is_interrupted_or_asks_to_end_says_nothing_of_its_own(
    tmp_path: Path,
) -> None:
    for error in (KeyboardInterrupt, SystemExit):
        statuses, errors = endings(2, partial(dying.interrupted, error=error), tmp_path)
        assert all(statuses)
        assert not said(errors)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What a job of two processes ends with if nothing happens to it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return together(2, partial(dying.train, how="none", folder=folder / "kept"), folder)


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # the process has just ended
        return b""


def torchrun(how: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Start two processes as users do, and see that none outlives the command."""
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    job = subprocess.Popen(
        [sys.executable, *words, *options, str(Path(dying.__file__)), how, str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
    )
    try:
        _, errors = job.communicate(timeout=220)
    finally:
        job.terminate()
    commands = Path("/proc").glob("[0-9]*/cmdline")
    assert not [command for command in commands if os.fsencode(folder) in read(command)]
    return subprocess.CompletedProcess(job.args, job.returncode, "", errors)


def test_torchrun_starts_a_killed_job_again_and_it_ends_with_the_same_bits(
    tmp_path: Path, undisturbed: list[Any]
) -> None:
    job = torchrun("killed", tmp_path, "--max-restarts=1")
    assert job.returncode == 0, job.stderr
    what = "rank 1 of 2 ended without a word (killed, or out of memory?)"
    assert said(job.stderr) == [f"dlbook: {what}; {stopped(tmp_path)}"]
    for rank, wanted in enumerate(undisturbed):
        got = torch.load(tmp_path / f"end-{rank}", weights_only=True)
        assert got["losses"] == wanted["losses"]
        assert all(map(torch.equal, got["parameters"], wanted["parameters"]))


def test_without_torchrun_the_block_runs_as_it_would_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # clusters set it for other purposes
    assert not launched()
    threads = torch.get_num_threads()
    with process_group("cpu") as device:
        assert (device, process_count()) == (torch.device("cpu"), 1)
        assert torch.get_num_threads() == threads


def enter(device: str | None = None, **options: Any) -> None:
    with process_group(device, **options):
        raise AssertionError("a group was joined")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"WORLD_SIZE": None, "MASTER_PORT": ""},
            "expected torchrun's RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT in the "
            "environment, got RANK=0, LOCAL_RANK=0, MASTER_ADDR=127.0.0.1, without WORLD_SIZE, "
            "MASTER_PORT: start with torchrun, or unset RANK, WORLD_SIZE, LOCAL_RANK to run one "
            "process",
        ),
        ({"RANK": "one"}, "expected whole numbers from torchrun, got RANK=one, WORLD_SIZE=2, "),
        ({"RANK": "2"}, "expected ranks from 0 up to below the number of processes and a port "),
        ({"LOCAL_RANK": "-1"}, "expected ranks from 0 up to below the number of processes and "),
        ({"LOCAL_WORLD_SIZE": "3"}, "expected ranks from 0 up to below the number of processes "),
        ({"MASTER_PORT": "65536"}, "expected ranks from 0 up to below the number of processes "),
    ],
)
def test_an_environment_that_torchrun_would_not_make_is_refused(
    changed: dict[str, str | None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (environment(0, 2, 1) | changed).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert launched()
    with pytest.raises(ValueError, match=re.escape(message)):
        enter()


def test_processes_that_do_not_come_are_not_waited_for_forever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for name, value in environment(0, 2, store.port).items():
        monkeypatch.setenv(name, value)
    threads = torch.get_num_threads()
    message = f"expected 2 processes to meet at 127.0.0.1:{store.port} within 0.5 s, but rank 0 "
    with pytest.raises(RuntimeError, match=message):
        enter("cpu", timeout=0.5)
    assert process_count() == 1
    assert torch.get_num_threads() == threads


def test_a_timeout_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a timeout above 0 seconds, got 0"):
        enter(timeout=0)


@pytest.mark.parametrize(
    ("asked", "devices", "own"),
    [
        (None, ["cuda", "cuda:0", "cuda:1", "cpu"], "cuda:1"),
        ("cuda", ["cuda", "cuda:0", "cuda:1", "cpu"], "cuda:1"),
        ("cpu", ["cuda", "cuda:0", "cuda:1", "cpu"], "cpu"),
        (None, ["cuda", "cuda:0", "cpu"], "cpu"),
        ("auto", ["mps", "cpu"], "cpu"),
    ],
)
def test_each_process_gets_a_gpu_of_its_own_or_none_does(
    asked: str | None, devices: list[str], own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(devices, monkeypatch)
    assert own_device(asked, SECOND) == torch.device(own)


@pytest.mark.parametrize(
    ("asked", "devices"),
    [
        ("cuda", ["cuda", "cuda:0", "cpu"]),
        ("cuda:0", ["cuda", "cuda:0", "cpu"]),
        ("mps", ["mps", "cpu"]),
    ],
)
def test_a_device_asked_for_that_processes_would_have_to_share_is_refused(
    asked: str, devices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(devices, monkeypatch)
    message = f"expected a device of its own for each of 2 processes, got {asked} with "
    with pytest.raises(ValueError, match=message):
        own_device(asked, SECOND)


def give(devices: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine have other devices."""
    monkeypatch.delenv("DLBOOK_DEVICE", raising=False)
    monkeypatch.setattr("dlbook.pytorch.devices.available_devices", lambda: devices)
    count = sum(name.startswith("cuda:") for name in devices)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
