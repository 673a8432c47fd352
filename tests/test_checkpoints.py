from __future__ import annotations

import hashlib
import io
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from dlbook.files import Lock
from dlbook.history import History
from dlbook.pytorch import make_loader
from dlbook.pytorch.checkpoint_files import CheckpointError, read_checkpoint
from dlbook.pytorch.checkpoints import Checkpoints, load_weights
from dlbook.pytorch.state import Run
from tests.benchmarks import kills
from tests.benchmarks.recording import RESULTS
from tests.killed.harness import STAGES
from tests.killed.program import STEPS, Interrupted, bits, examples, network, train
from tests.on_device import DEVICE

ROOT = Path(__file__).parents[1]
KILLS, GROUPS = "kills:5:0:1024", ("group:2", "group:2:1")  # the second with a sharded network
NEWEST, BEFORE = "step-00000008.pt", "step-00000006.pt"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small products: threads cost more than they save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoints of a run that ended after step 8."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Interrupted):
        train(folder, stop=8)
    return folder


@pytest.fixture
def folder(stopped: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(stopped, tmp_path / "run"))


@pytest.fixture(scope="module")
def uninterrupted() -> Any:
    return bits(train(None))


def run_of(model: nn.Module, loader: Any = None, **options: Any) -> Run:
    X, y = examples(90, seed=1)
    loader = loader or make_loader(X, y, batch_size=16, generator=torch.Generator())
    optimizer = torch.optim.Adam(model.to(DEVICE).parameters())
    return Run(model, optimizer, loader, History(), **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def sealed(content: object) -> bytes:
    """Write a checkpoint's file as it is documented, apart from the code."""
    file = io.BytesIO()
    torch.save(content, file)
    data = file.getvalue()
    return data + b"dlbook.checkpoint sha256 " + hashlib.sha256(data).hexdigest().encode()


class Payload:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.write_text, (self.path, "ran")


# --- what is in a folder -------------------------------------------------------------------------


def test_a_checkpoint_is_a_file_of_torch_save_that_holds_plain_values_only(folder: Path) -> None:
    content = torch.load(folder / NEWEST, weights_only=True)
    assert content["run"]["position"]["step"] == 8
    assert content["run"]["position"]["batch"] == 2
    assert content["torch"] == torch.__version__
    assert bits(read_checkpoint(folder / NEWEST)) == bits(content)


def test_the_last_checkpoints_and_the_best_stay(tmp_path: Path) -> None:
    run = run_of(network())
    checkpoints = Checkpoints(tmp_path, keep=2)
    stay = []
    with checkpoints:
        checkpoints.restore(run)
        for loss in (3.0, 1.0, float("nan"), 2.0, 1.0, 0.5):
            run.step += 1
            run.end_epoch({"train_loss": 1.0, "validation_loss": loss}, 0.1)
            checkpoints.after_epoch(run)
            stay.append([int(path.stem[-1]) for path in checkpoints.files()])
    assert stay == [[1], [2, 1], [3, 2], [4, 3, 2], [5, 4, 2], [6, 5]]


def test_the_best_is_known_after_going_on(tmp_path: Path) -> None:
    for losses in ([1.0, 2.0], [3.0, 4.0]):
        run = run_of(network())
        checkpoints = Checkpoints(tmp_path, keep=1, resume=True)
        with checkpoints:
            checkpoints.restore(run)
            for loss in losses:
                run.step += 1
                run.end_epoch({"train_loss": 1.0, "validation_loss": loss}, 0.1)
                checkpoints.after_epoch(run)
    assert names(tmp_path) == ["step-00000001.pt", "step-00000004.pt"]


def test_a_folder_is_described_file_by_file(folder: Path) -> None:
    (folder / BEFORE).write_bytes(b"")
    lines = Checkpoints(folder).describe().splitlines()
    assert lines[0].startswith(f"{NEWEST}  epoch 1, step 8, validation loss ")
    assert lines[1] == f"{BEFORE}  {folder / BEFORE} is empty"
    assert Checkpoints(folder / "none").describe() == f"no checkpoints in {folder / 'none'}"


def test_the_latest_is_the_newest_that_is_sound(folder: Path) -> None:
    assert Checkpoints(folder).latest() == folder / NEWEST
    (folder / NEWEST).write_bytes(b"PK")
    with pytest.warns(UserWarning, match="is cut short, or no checkpoint of dlbook"):
        assert Checkpoints(folder).latest() == folder / BEFORE
    assert Checkpoints(folder / "none").latest() is None


# --- what is refused -----------------------------------------------------------------------------


def test_a_file_cut_short_at_any_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "step-00000001.pt"
    path.write_bytes(sealed({"format": "dlbook.checkpoint", "tensor": torch.zeros(2)}))
    with pytest.raises(CheckpointError, match="has version None"):  # whole, that is
        read_checkpoint(path)
    size = path.stat().st_size
    for rest in range(size - 1, -1, -1):
        with path.open("r+b") as file:
            file.truncate(rest)
        with pytest.raises(CheckpointError, match=r"is cut short|is empty"):
            read_checkpoint(path)


def test_a_file_with_any_bit_flipped_is_refused(folder: Path) -> None:
    data = bytearray((folder / NEWEST).read_bytes())
    moments = random.Random(0)
    seal = range(len(data) - 89, len(data))
    for place in [*seal, *(moments.randrange(len(data)) for _ in range(300))]:
        bit = 1 << moments.randrange(8)
        data[place] ^= bit
        (folder / NEWEST).write_bytes(data)
        with pytest.raises(CheckpointError, match=r"is damaged|is cut short"):
            read_checkpoint(folder / NEWEST)
        data[place] ^= bit
    (folder / NEWEST).write_bytes(data)
    read_checkpoint(folder / NEWEST)


def changed(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = read_checkpoint(path)
    change(content)
    path.write_bytes(sealed(content))


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_another_model(path: Path) -> None:
    path.write_bytes(sealed(read_checkpoint(path) | {"run": run_of(network(8)).state_dict()}))


SPOILED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut short": (lambda p: p.write_bytes(p.read_bytes()[:-1]), "is cut short"),
    "flipped": (lambda p: p.write_bytes(p.read_bytes().replace(b"PK", b"PL", 1)), "is damaged"),
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "a folder": (replaced_by_a_folder, "cannot be read"),
    "text": (lambda p: p.write_text("not a checkpoint" * 20), "no checkpoint of dlbook"),
    "a network's state": (lambda p: torch.save(network().state_dict(), p), "no checkpoint of"),
    "sealed text": (lambda p: p.write_bytes(sealed("text")), "is no checkpoint of dlbook"),
    "another model's": (of_another_model, r"expected 0.weight of shape \(32, 20\), got \(8, 20\)"),
    "of a newer version": (lambda p: changed(p, lambda c: c.update(version=2)), "has version 2"),
    "without a run": (lambda p: changed(p, lambda c: c.pop("run")), "expected format, .*, run"),
    "without a place": (
        lambda p: changed(p, lambda c: c["run"].pop("position")),
        "position is missing",
    ),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_an_unsound_file_is_refused_and_the_one_before_it_used(
    spoiled: str, folder: Path, uninterrupted: Any
) -> None:
    spoil, message = SPOILED[spoiled]
    spoil(folder / NEWEST)
    with pytest.warns(UserWarning, match=message) as warned:
        assert bits(train(folder, seed=1)) == uninterrupted
    (line,) = (str(warning.message) for warning in warned)
    assert line.endswith(f"; going on with {BEFORE}")
    assert (folder / f"{NEWEST}.refused").exists()


@pytest.mark.parametrize("signed", [False, True])
def test_a_file_that_carries_code_is_refused_and_the_code_does_not_run(
    signed: bool, folder: Path, uninterrupted: Any, tmp_path: Path
) -> None:
    """The digest keeps out accidents; whoever writes code into a file can write the digest too."""
    ran = tmp_path / "ran"
    evil = read_checkpoint(folder / NEWEST)
    evil["run"]["best"] = Payload(ran)
    data = sealed(evil)
    (folder / NEWEST).write_bytes(data if signed else data[:-89])
    message = "carries code, and was not run" if signed else "no checkpoint of dlbook"
    with pytest.warns(UserWarning, match=message):
        assert bits(train(folder, seed=1)) == uninterrupted
    assert not ran.exists()
    torch.load(io.BytesIO(data), weights_only=False)
    assert ran.read_text() == "ran", "the same file does harm to those who read it otherwise"


def test_where_no_file_is_sound_all_are_listed_and_nothing_changes(folder: Path) -> None:
    files = sorted(folder.glob("*.pt"))
    of_another_model(files[0])
    files[1].write_bytes(b"")
    for path in files[2:]:
        path.write_bytes(b"text")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run = run_of(network())
    state = bits(run.state_dict())
    with pytest.raises(CheckpointError) as refused:
        Checkpoints(folder, resume=True).restore(run)
    assert isinstance(refused.value, ValueError)
    head, *lines = str(refused.value).splitlines()
    assert head == f"no checkpoint in {folder} to go on with:"
    assert len(lines) == len(files)
    for line, path in zip(lines, reversed(files), strict=True):
        assert line.startswith(f"- {path} ")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert bits(run.state_dict()) == state


def test_a_folder_with_checkpoints_is_refused_unless_the_run_is_to_go_on(folder: Path) -> None:
    before = names(folder)
    run = run_of(network())
    with pytest.raises(CheckpointError, match=f"newest {NEWEST}: pass resume=True to go on"):
        Checkpoints(folder).restore(run)
    assert names(folder) == before
    assert run.step == 0
    with pytest.raises(CheckpointError, match="is of another run"):  # the folder is free again
        Checkpoints(folder, resume=True).restore(run)


@pytest.mark.parametrize("place", ["none", "deeper/none", "."])
def test_a_run_that_may_go_on_starts_where_there_is_nothing(place: str, tmp_path: Path) -> None:
    run = run_of(network())
    with Checkpoints(tmp_path / place, resume=True) as checkpoints:
        checkpoints.restore(run)
        assert run.step == 0
        checkpoints._save(run)
    assert names(tmp_path / place)[-1] == "step-00000000.pt"


@pytest.mark.parametrize("options", [{"every": 0}, {"keep": 0}])
def test_numbers_below_one_are_refused(options: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="to be at least 1, got 0"):
        Checkpoints(tmp_path, **options)  # type: ignore[arg-type]


def test_others_loaders_cannot_be_kept_between_epochs_and_this_is_said_at_the_start(
    tmp_path: Path,
) -> None:
    loader: Any = DataLoader([(torch.zeros(20), 0)], batch_size=1)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=r"start in the middle of an epoch.*every=3"):
        Checkpoints(tmp_path / "run", every=3).restore(run_of(network(), loader))
    assert not (tmp_path / "run").exists()


def test_what_a_checkpoint_cannot_hold_is_refused_at_the_start(tmp_path: Path) -> None:
    class Rate:
        """A schedule keeps the attributes of such an object."""

        def __init__(self) -> None:
            self.table = slice(3)

        def __call__(self, step: int) -> float:
            return 1.0

    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, Rate())
    run = run_of(model, schedule=schedule)
    with pytest.raises(CheckpointError, match="slice in the run, schedule, state, lr_lambdas"):
        Checkpoints(tmp_path / "run").restore(run)
    assert not (tmp_path / "run").exists()


def test_what_an_optimizer_adds_later_is_refused_before_it_is_written(tmp_path: Path) -> None:
    run = run_of(network())
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.restore(run)
        bias = run.optimizer.param_groups[0]["params"][1]
        run.optimizer.state[bias]["window"] = slice(3)
        run.end_epoch({"train_loss": 1.0}, 0.1)
        with pytest.raises(CheckpointError, match=r"slice in the run, optimizer, state, .*window"):
            checkpoints.after_epoch(run)
    assert names(tmp_path) == []


# --- writing -------------------------------------------------------------------------------------


def test_a_full_disk_ends_the_run_and_leaves_the_checkpoints_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Checkpoints._save
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def save_on_a_full_disk(self: Checkpoints, run: Run) -> None:
        if run.step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            save(self, run)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(Checkpoints, "_save", save_on_a_full_disk)
    with pytest.raises(CheckpointError, match=r"cannot keep the run after step 4 in .*too large"):
        train(tmp_path)
    assert names(tmp_path) == ["step-00000002.pt"]
    assert Checkpoints(tmp_path).latest() == tmp_path / "step-00000002.pt"
    monkeypatch.undo()
    assert bits(train(tmp_path)) == bits(train(None))


def test_a_folder_that_cannot_be_written_to_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot write to .*Not a directory"):
        Checkpoints(tmp_path / "file" / "run").restore(run_of(network()))


def test_what_a_killed_writer_left_is_removed_and_nothing_else(folder: Path) -> None:
    (folder / ".step-00000010.pt.4711.tmp").write_bytes(b"half")
    (folder / "notes.tmp").write_text("a user's")
    (folder / "step-best.pt").write_text("a user's")
    train(folder)
    assert not list(folder.glob(".step-*"))
    assert (folder / "notes.tmp").exists()
    assert (folder / "step-best.pt").exists()


HOLDER = """
import os, sys
from dlbook.files import Lock
lock = Lock(sys.argv[1])
if os.fork():  # else a worker, which lives on
    print("locked", flush=True)
sys.stdin.read()
"""


def test_another_process_keeps_a_run_out_until_it_is_killed(folder: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(folder / ".lock")]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(CheckpointError, match=f"another run writes .* process {other.pid}"):
            train(folder)
        other.send_signal(signal.SIGKILL)
        other.wait()
        train(folder)  # while the worker lives
        assert other.stdin is not None
        other.stdin.close()
        assert other.stdout.read() == "", "the worker has ended"


def test_another_run_of_this_process_is_kept_out_too_until_the_first_ends(folder: Path) -> None:
    with Checkpoints(folder, resume=True) as first:
        first._open()
        with pytest.raises(CheckpointError, match="locked by this process already"):
            train(folder)
    train(folder)  # so is what ended with an error, as the fixture's run did
    Lock(folder / ".lock").release()


# --- using what was learned ----------------------------------------------------------------------


def test_the_best_parameters_are_loaded_for_use_or_the_last(tmp_path: Path) -> None:
    trained = train(tmp_path, "impatient")
    model = network().to(DEVICE)
    assert load_weights(tmp_path, model) == tmp_path / f"step-{STEPS:08d}.pt"
    assert bits(model.state_dict()) == bits(trained["model"])
    last = tmp_path / f"step-{3 * STEPS:08d}.pt"
    assert load_weights(tmp_path, model, best=False) == last
    assert bits(model.state_dict()) != bits(trained["model"])
    assert load_weights(last, model) == last
    assert bits(model.state_dict()) == bits(read_checkpoint(last)["run"]["model"])


def test_another_networks_parameters_are_refused_and_none_is_changed(folder: Path) -> None:
    model = network(8).to(DEVICE)
    before = bits(model.state_dict())
    with pytest.raises(CheckpointError, match=r"expected 0.weight of shape \(8, 20\), got"):
        load_weights(folder, model)
    assert bits(model.state_dict()) == before


# --- killed --------------------------------------------------------------------------------------

forked = pytest.mark.on_the_cpu("runs are forked, which CUDA does not survive")


@pytest.fixture(scope="module")
def killed() -> Any:
    """Kill runs, five at random moments and six at each stage of writing, and go on with them."""
    report = subprocess.run(
        [sys.executable, "-m", "tests.killed.harness", KILLS, "stages", *GROUPS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.returncode == 0, report.stderr
    return json.loads(report.stdout)


@forked
def test_a_run_killed_at_any_moment_and_gone_on_with_ends_with_the_same_bits(killed: Any) -> None:
    found = killed[KILLS]
    assert [kill["equal"] for kill in found] == [True] * 5
    assert [kill["unsound"] for kill in found] == [0] * 5
    assert [kill["left over"] for kill in found] == [0] * 5
    assert sum(kill["in a write"] for kill in found) >= 2, "every second one is"


@forked
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_at_each_stage_of_writing_ends_with_the_same_bits(
    stage: str, killed: Any
) -> None:
    found = killed["stages"][stage]
    assert found["status"] == -signal.SIGKILL
    assert found["unsound"] == found["left over"] == 0
    assert found["equal"]
    draft = any(name.endswith(".tmp") for name in found["files"])
    assert draft == (STAGES.index(stage) < STAGES.index("renamed"))


@forked
@pytest.mark.parametrize("group", GROUPS)
def test_processes_go_on_together_with_the_same_bits_and_one_alone_to_the_end(
    group: str, killed: Any
) -> None:
    found = killed[group]
    assert found["statuses"] == [0] * 9
    assert found["equal"] == [True] * 2
    assert found["kept"] == [2, 32, 20], "the generators of both, and the whole of each weight"
    assert found["epochs alone"] == 2
    first, second = found["refusals"]
    assert first == second, "all processes say the same"
    assert first.startswith("no checkpoint in ")


def test_what_the_book_states_of_killed_runs_was_recorded_and_keeps_its_promise() -> None:
    recorded = json.loads((RESULTS / "kills.json").read_text(encoding="utf-8"))["values"]
    assert recorded["kills"] == kills.COUNT
    assert kills.broken_promises(recorded) == []
    for name, value, message in (
        ("equal_to_the_bit", 48, "2 of 50 runs"),
        ("in_a_write", 24, "24 of 50 kills"),
        ("unsound_files", 1, "1 unsound files"),
        ("left_over_files", 1, "1 left over files"),
    ):
        (broken,) = kills.broken_promises(recorded | {name: value})
        assert broken.startswith(message)
