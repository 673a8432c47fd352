from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim import lr_scheduler as rates
from torch.utils.data import DataLoader, TensorDataset

from dlbook.history import History
from dlbook.pytorch import make_loader
from dlbook.pytorch.state import Run
from tests.killed.program import (
    EPOCHS,
    STEPS,
    VARIANTS,
    Interrupted,
    bits,
    examples,
    jitter,
    network,
    train,
)
from tests.on_device import DEVICE

OTHERS = [name for name in VARIANTS if "other" in name]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    """Small products: threads cost more than they save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def reference() -> Callable[[str], Any]:
    """The bits of runs that nothing interrupts, each trained once."""
    known: dict[str, Any] = {}

    def of(variant: str) -> Any:
        if variant not in known:
            known[variant] = bits(train(None, variant))
        return known[variant]

    return of


def interrupted(folder: Path, variant: str, stop: int, **options: Any) -> None:
    with pytest.raises(Interrupted):
        train(folder, variant, stop=stop, **options)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_that_goes_on_in_another_program_ends_with_the_same_bits(
    variant: str, tmp_path: Path, reference: Callable[[str], Any]
) -> None:
    """The other program has other seeds and rates: all of it must come from the checkpoint."""
    stop = 3 if variant == "accumulated" else STEPS + 3  # in the middle of the second epoch
    interrupted(tmp_path, variant, stop, every=1)
    assert bits(train(tmp_path, variant, seed=1)) == reference(variant)


def test_a_run_interrupted_again_and_again_ends_with_the_same_bits(
    tmp_path: Path, reference: Callable[[str], Any]
) -> None:
    for stop in range(2, EPOCHS * STEPS, 3):
        interrupted(tmp_path, "plain", stop)
    assert bits(train(tmp_path)) == reference("plain")


SCHEDULES: dict[str, Callable[[Optimizer], Any]] = {
    "step": lambda o: rates.StepLR(o, 4),
    "multistep": lambda o: rates.MultiStepLR(o, [3, 8]),
    "linear": lambda o: rates.LinearLR(o, total_iters=12),
    "polynomial": lambda o: rates.PolynomialLR(o, total_iters=15),
    "exponential": lambda o: rates.ExponentialLR(o, 0.9),
    "restarts": lambda o: rates.CosineAnnealingWarmRestarts(o, 5),
    "one cycle": lambda o: rates.OneCycleLR(o, 0.1, total_steps=20),
    "cycles": lambda o: rates.CyclicLR(o, 0.01, 0.1, step_size_up=4, cycle_momentum=False),
    "lambda": lambda o: rates.LambdaLR(o, lambda step: 1 / (1 + step)),
    "products": lambda o: rates.MultiplicativeLR(o, lambda step: 1 / (1 + step)),
    "plateau": lambda o: rates.ReduceLROnPlateau(o, patience=0, threshold=10.0),
    "sequence": lambda o: rates.SequentialLR(
        o, [rates.LinearLR(o, total_iters=5), rates.CosineAnnealingLR(o, 9)], [5]
    ),
    "chain": lambda o: rates.ChainedScheduler([rates.LinearLR(o), rates.StepLR(o, 4)]),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_schedule_of_pytorch_goes_on_with_the_same_bits(schedule: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"schedule": SCHEDULES[schedule]}
    interrupted(tmp_path, "plain", STEPS + 3, every=1, **options)
    assert bits(train(tmp_path, seed=1, **options)) == bits(train(None, **options))


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "SGD": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "AdamW": partial(torch.optim.AdamW, amsgrad=True),
    "ASGD": torch.optim.ASGD,
    "Adadelta": torch.optim.Adadelta,
    "Adafactor": torch.optim.Adafactor,
    "Adagrad": torch.optim.Adagrad,
    "Adamax": torch.optim.Adamax,
    "NAdam": torch.optim.NAdam,
    "RAdam": torch.optim.RAdam,
    "RMSprop": torch.optim.RMSprop,
    "Rprop": torch.optim.Rprop,
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_of_pytorch_goes_on_with_the_same_bits(
    optimizer: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"optimizer": OPTIMIZERS[optimizer]}
    interrupted(tmp_path, "plain", STEPS + 3, every=1, **options)
    assert bits(train(tmp_path, seed=1, **options)) == bits(train(None, **options))


@pytest.mark.parametrize(
    ("part", "variant"),
    [
        ("model", "plain"),
        ("optimizer", "plain"),
        ("schedule", "plain"),
        ("scaler", "fp16"),
        ("sampler", "plain"),
        ("position", "plain"),
        ("best", "impatient"),
        ("history", "plain"),
        ("generators", "plain"),
        ("sums", "plain"),
        *(("loader", variant) for variant in OTHERS if "global" not in variant),
        *(("generators", variant) for variant in OTHERS),
    ],
)
def test_each_part_that_is_left_out_makes_it_another_run(
    part: str,
    variant: str,
    tmp_path: Path,
    reference: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupted(tmp_path, variant, STEPS + 3)
    load = Run.load_state_dict

    def load_without(run: Run, state: dict[str, Any]) -> None:
        # A state shares memory with the run, which is about to change.
        fresh = torch.load(saved(run.state_dict()), weights_only=True)
        if part in fresh:
            load(run, state | {part: fresh[part]})
        else:
            own = state["processes"][0] | {part: fresh["processes"][0][part]}
            load(run, state | {"processes": [own]})

    monkeypatch.setattr(Run, "load_state_dict", load_without)
    assert bits(train(tmp_path, variant, seed=1)) != reference(variant)


def saved(state: dict[str, Any]) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


@pytest.mark.parametrize("variant", VARIANTS)
def test_going_on_with_a_run_that_has_ended_changes_nothing(
    variant: str, tmp_path: Path, reference: Callable[[str], Any]
) -> None:
    train(tmp_path, variant)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.pt")}
    again = bits(train(tmp_path, variant, seed=1))
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.pt")} == before
    # What it returned is in the callbacks' run, and no callback is called.
    assert again | {"scaler": None} == reference(variant) | {"scaler": None}


def test_more_epochs_go_on_as_if_they_had_been_asked_for_at_once(tmp_path: Path) -> None:
    train(tmp_path, epochs=2)
    assert bits(train(tmp_path, epochs=4, seed=1)) == bits(train(None, epochs=4))


def test_a_run_that_patience_ended_goes_on_only_with_more_patience(tmp_path: Path) -> None:
    stopped = train(tmp_path, "impatient")
    assert len(stopped["history"]["epochs"]) == 3, "the best and two more"
    again = train(tmp_path, "impatient", seed=1)
    assert bits(again["model"]) == bits(stopped["model"])
    assert bits(again["history"]) == bits(stopped["history"])
    longer = train(tmp_path, "impatient", patience=4, seed=1)
    assert len(longer["history"]["epochs"]) == 5
    assert bits(longer) == bits(train(None, "impatient", patience=4))


def test_a_run_that_a_callback_ended_stays_ended(tmp_path: Path) -> None:
    def end(run: Run) -> bool:
        return run.epoch == 2

    ended = train(tmp_path, epochs=9, callbacks=[end])
    again = train(tmp_path, epochs=9, seed=1)
    assert len(ended["history"]["epochs"]) == 2
    assert bits(again["history"]) == bits(ended["history"])


def program(**changes: Any) -> Run:
    """Make a run that differs from the others in what is named."""
    torch.manual_seed(0)
    model = changes.get("model", network()).to(DEVICE)
    optimizer = changes.get("optimizer", torch.optim.Adam)(model.parameters(), lr=0.01)
    X, y = examples(90, seed=1)
    generator = torch.Generator().manual_seed(0) if changes.get("shuffled", True) else None
    loader: Any = make_loader(X, y, batch_size=changes.get("batch", 16), generator=generator)
    if "loader" in changes:
        loader = changes["loader"](TensorDataset(X, y), 16)
    schedule = changes.get("schedule", torch.optim.lr_scheduler.CosineAnnealingLR)
    return Run(
        model,
        optimizer,
        loader,
        History(),
        schedule=schedule and schedule(optimizer, 10),
        scaler=torch.amp.GradScaler(torch.device(DEVICE).type, enabled=changes.get("fp16", False)),
        patience=2,
    )


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"model": network(16)}, [r"expected 0.weight of shape \(16, 20\), got \(32, 20\)"]),
        ({"model": network().double()}, ["expected 0.bias in torch.float64, got torch.float32"]),
        (
            {"model": nn.Sequential(nn.Linear(20, 4), nn.Linear(4, 4))},
            ["1.weight of shape", "4.weight is not of this run"],
        ),
        ({"model": nn.Sequential(*network(), nn.Linear(4, 4))}, ["5.bias is missing"]),
        ({"optimizer": torch.optim.SGD}, ["expected optimizer torch.optim.sgd.SGD, got .*adam"]),
        ({"schedule": None}, ["expected schedule none, got .*CosineAnnealingLR"]),
        ({"schedule": torch.optim.lr_scheduler.StepLR}, ["StepLR, got .*CosineAnnealingLR"]),
        ({"batch": 8}, ["expected batches with batch_size = 8, got 16"]),
        ({"shuffled": False}, ["expected rows in order, got shuffled"]),
        ({"loader": DataLoader}, ["expected another loader, got make_loader's"]),
        ({"fp16": True}, ["expected a run with fp16, got one with no fp16"]),
        ({"batch": 9, "fp16": True, "model": network(8)}, ["0.weight", "batch_size = 9", "fp16"]),
    ],
)
def test_the_state_of_another_run_is_refused_by_all_that_differs_and_nothing_changes(
    changes: dict[str, Any], messages: list[str]
) -> None:
    state = torch.load(saved(program().state_dict()), weights_only=True)
    run = program(**changes)
    torch.rand(3)  # its generators stand elsewhere than those of the state
    before = bits(run.state_dict())
    with pytest.raises(ValueError, match="the state is of another run") as refused:
        run.load_state_dict(state)
    for message in messages:
        refused.match(message)
    assert bits(run.state_dict()) == before


def test_a_loader_with_another_number_of_generators_is_another_run() -> None:
    state = program(loader=DataLoader).state_dict()
    seeded = partial(DataLoader, generator=torch.Generator())
    with pytest.raises(ValueError, match="generators of the loader: expected 1, got 0"):
        program(loader=seeded).load_state_dict(state)


def test_another_order_of_parameters_is_another_run() -> None:
    state = program().state_dict()
    run = program(optimizer=lambda p, lr: torch.optim.Adam(list(p)[::-1], lr=lr))
    with pytest.raises(ValueError, match=r"optimizer of 4\.bias, .* got one of 0\.weight"):
        run.load_state_dict(state)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state.pop("sums" if "sums" in state else "best"), "best is missing"),
        (lambda state: state.update(extra=1), "extra is not of this run"),
        (lambda state: state.update(best=None), "it is not the state of a run"),
        (lambda state: state["position"].pop("step"), "position step is missing"),
        (lambda state: state["processes"][0].pop("sums"), "process 0: sums is missing"),
        (
            lambda state: state["processes"][0]["generators"].update(torch=torch.zeros(3)),
            "process 0: the generators' state is damaged",
        ),
        (
            lambda state: state["best"].update(kept={"0.weight": torch.zeros(2)}),
            "best: 0.bias is missing",
        ),
    ],
)
def test_a_state_that_is_not_a_runs_is_refused_and_nothing_changes(
    spoil: Callable[[dict[str, Any]], Any], message: str
) -> None:
    run = program()
    before = bits(run.state_dict())
    state = torch.load(saved(run.state_dict()), weights_only=True)
    spoil(state)
    with pytest.raises(ValueError, match=message):
        run.load_state_dict(state)
    assert bits(run.state_dict()) == before


def test_parameters_that_no_checkpoint_would_hold_are_refused() -> None:
    temperature = nn.Parameter(torch.ones(1))
    run = program(optimizer=lambda p, lr: torch.optim.Adam([*p, temperature], lr=lr))
    with pytest.raises(ValueError, match="parameters alone, got others too"):
        run.state_dict()


def test_settings_of_the_program_win_over_those_of_the_state() -> None:
    earlier, later = program(), program()
    earlier.history.settings |= {"epochs": 5, "seed": 3}
    later.history.settings |= {"epochs": 9}
    later.load_state_dict(earlier.state_dict())
    assert later.history.settings == {"epochs": 9, "seed": 3}


def test_another_number_of_processes_keeps_the_sums_and_says_what_differs() -> None:
    run = program()
    state = torch.load(saved(run.state_dict()), weights_only=True)
    shares = [
        {"examples": 3, "totals": {"loss": torch.tensor(6.0)}},
        {"examples": 2, "totals": {"loss": torch.tensor(1.5)}},
    ]
    state["processes"] = [state["processes"][0] | {"sums": sums} for sums in shares]
    with pytest.warns(UserWarning, match="had 2 processes and goes on with 1"):
        run.load_state_dict(state)
    assert run.sums.means() == {"loss": 1.5}


def test_a_gpu_that_is_not_here_costs_its_draws_and_no_more() -> None:
    run = program()
    state = torch.load(saved(run.state_dict()), weights_only=True)
    absent = torch.cuda.device_count() + 1
    state["processes"][0]["generators"]["cuda"] = [torch.zeros(16, dtype=torch.uint8)] * absent
    torch.manual_seed(5)
    with pytest.warns(UserWarning, match="used a GPU that is not here"):
        run.load_state_dict(state)
    assert torch.equal(torch.get_rng_state(), state["processes"][0]["generators"]["torch"])


def test_without_patience_nothing_is_kept_from_a_run_that_had_it() -> None:
    earlier = program()
    earlier.end_epoch({"train_loss": 1.0, "validation_loss": 1.0}, 0.1)
    later = program()
    later.best.patience = None
    later.load_state_dict(earlier.state_dict())
    assert later.best.kept is None
    assert later.best.loss == math.inf


def test_augmentation_alone_is_random_by_the_batch_and_not_by_the_run() -> None:
    """What the sampler seeds needs no generator of the run: the same batch, asked for twice."""
    X, y = examples(20, seed=1)
    loader = make_loader(X, y, batch_size=20, generator=torch.Generator(), augment=jitter)
    (first, _), *_ = loader
    (other, _), *_ = loader
    loader.batch_sampler.start(0)  # type: ignore[union-attr]
    (again, _), *_ = loader
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
