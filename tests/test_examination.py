"""A pre-flight finds what is wrong, explains what it cannot do, and leaves everything as it was."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

from dlbook.doctor import Report, examination, examine, isolation, watching
from dlbook.doctor.watching import watch

DRAWN = np.random.default_rng(5)  # a generator that stands outside of all pieces
SEEN: list[int] = []
CALLS = 0
MET: set[float] = set()
MEANS = np.zeros(3)
TORCHS = torch.Generator()
TARGETS = torch.arange(24.0)[:, None]


@pytest.fixture
def rules() -> None:
    """Let the rules judge; without it the tests look at the run alone, and are fast."""


@pytest.fixture(autouse=True)
def _no_rules(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "rules" not in request.fixturenames:
        monkeypatch.setattr(watching, "diagnose", lambda _: [])


def data(n: int = 24) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, generator=generator), torch.randn(n, 1, generator=generator)


def rows() -> Any:
    return list(zip(*data(), strict=True))


class Network(nn.Module):
    """Has all that changes in a forward pass: statistics, dropout, a buffer, a number."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(3, 8), nn.BatchNorm1d(8)
        self.drop, self.last = nn.Dropout(0.5), nn.Linear(8, 1)
        self.calls = 0

    def forward(self, X: Tensor) -> Tensor:
        self.calls += 1
        Z: Tensor = self.last(self.drop(self.norm(self.first(X)).relu()))
        return Z


class Rows(Dataset[tuple[Tensor, Tensor]]):
    """Rows that a transform may change."""

    def __init__(self, change: Callable[[Tensor], Tensor] = lambda x: x, n: int = 24) -> None:
        self.X, self.y = data(n)
        self.change = change

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.change(self.X[i]), self.y[i]


class NoisyRows(Rows):
    """Draws from a generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(3)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.X[i] + self.rng.random(), self.y[i]


class RowsChangedInPlace(Rows):
    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        self.X[i] += 1
        return self.X[i], self.y[i]


class CountedRows(Rows):
    count = 0

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        CountedRows.count += 1
        return self.X[i] + CountedRows.count, self.y[i]


class RowsThatStayThemselves(NoisyRows):
    def __deepcopy__(self, memo: object) -> RowsThatStayThemselves:
        return self


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    """Starts anew whenever it is iterated."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(*data(), strict=True)


def noise_of_numpy(x: Tensor) -> Tensor:
    return x + np.random.random()  # noqa: NPY002  # as in people's transforms


def noise_of_python(x: Tensor) -> Tensor:
    return x + random.random()


def noise_from_outside(x: Tensor) -> Tensor:
    return x + DRAWN.random()


def noise_of_a_closure() -> Callable[[Tensor], Tensor]:
    rng, calls = random.Random(2), 0

    def noise(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return x * calls + rng.random()

    return noise


def moved_on(x: Tensor) -> Tensor:
    SEEN.append(len(SEEN))
    return x + len(SEEN)


def counted(x: Tensor) -> Tensor:
    global CALLS
    CALLS += 1
    return x * CALLS


def met_before(x: Tensor) -> Tensor:
    MET.add(float(x[0]) + len(MET))
    return x + len(MET)


def running_means(x: Tensor) -> Tensor:
    np.add(MEANS, 1, out=MEANS)
    return x - torch.from_numpy(MEANS).float()


def noise_of_a_torch_generator(x: Tensor) -> Tensor:
    return x + torch.rand(3, generator=TORCHS)


class ReadRows(Rows):
    """Reads on in a file that a function holds."""

    def __init__(self, file: TextIO) -> None:
        super().__init__()

        def read() -> float:
            line = file.readline()
            if not line:
                file.seek(0)
                line = file.readline()
            return float(line)

        self.read = read

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.X[i] + self.read(), self.y[i]


def sum_of_items(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    for x, _ in items:
        x.mul_(2)  # in the dataset's own tensor
    return torch.stack([x for x, _ in items]), torch.stack([y for _, y in items])


def with_own_generator() -> DataLoader[Any]:
    return DataLoader(Rows(), 6, shuffle=True, generator=torch.Generator().manual_seed(4))


def with_own_sampler() -> DataLoader[Any]:
    rows = Rows()
    sampler = RandomSampler(rows, generator=torch.Generator().manual_seed(4))
    return DataLoader(rows, 6, sampler=sampler)


LOADERS: dict[str, Callable[[], Any]] = {
    "shuffled by the global generator": lambda: DataLoader(Rows(), 6, shuffle=True),
    "shuffled by its own generator": with_own_generator,
    "a sampler with its own generator": with_own_sampler,
    "other processes": lambda: DataLoader(Rows(noise_of_python), 6, shuffle=True, num_workers=1),
    "tensors": lambda: DataLoader(TensorDataset(*data()), 6, shuffle=True),
    "a list of items": lambda: DataLoader(rows(), 6, shuffle=True),
    "tensors that the collate function changes": lambda: DataLoader(
        TensorDataset(*data()), 6, collate_fn=sum_of_items
    ),
    "a dataset's own generator": lambda: DataLoader(NoisyRows(), 6),
    "a dataset that is not copied": lambda: DataLoader(RowsThatStayThemselves(), 6),
    "a dataset that changes its items": lambda: DataLoader(RowsChangedInPlace(), 6),
    "a number of the dataset's class": lambda: DataLoader(CountedRows(), 6),
    "draws of NumPy's global generator": lambda: DataLoader(Rows(noise_of_numpy), 6),
    "draws of Python's global generator": lambda: DataLoader(Rows(noise_of_python), 6),
    "a generator that is global": lambda: DataLoader(Rows(noise_from_outside), 6),
    "a generator and a number in a closure": lambda: DataLoader(Rows(noise_of_a_closure()), 6),
    "a number that is global": lambda: DataLoader(Rows(counted), 6),
    "a set that is global": lambda: DataLoader(Rows(met_before), 6),
    "an array that is global": lambda: DataLoader(Rows(running_means), 6),
    "PyTorch's generator that is global": lambda: DataLoader(Rows(noise_of_a_torch_generator), 6),
    "a list that is global": lambda: DataLoader(Rows(moved_on), 6),
    "a stream": lambda: DataLoader(Stream(), 6),
    "a list of batches": lambda: batches(),
}
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.01, max_iter=2),
}


def seed() -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    DRAWN.bit_generator.state = np.random.default_rng(5).bit_generator.state
    TORCHS.manual_seed(6)
    SEEN.clear()
    MET.clear()
    MEANS.fill(0)
    global CALLS
    CALLS = 0
    CountedRows.count = 0
    TARGETS.copy_(torch.arange(24.0)[:, None])


def train(
    model: nn.Module, loss_fn: Any, optimizer: torch.optim.Optimizer, loader: Any, epochs: int
) -> list[Tensor]:
    batches = []
    for _ in range(epochs):
        for X, y in loader:
            batches += [X.clone(), y.clone()]

            def closure(X: Tensor = X, y: Tensor = y) -> Tensor:
                optimizer.zero_grad()
                loss: Any = loss_fn(model(X), y)
                loss.backward()
                return cast(Tensor, loss)

            optimizer.step(closure)  # type: ignore[arg-type]
    return batches


def run(
    make_loader: Callable[[], Any],
    make_optimizer: Callable[[Any], torch.optim.Optimizer],
    examined: bool,
    loss_of: Callable[[nn.Module], Any] = lambda _: nn.MSELoss(),
) -> list[Any]:
    """Train, look at the pieces or not, train on; return all that can differ."""
    seed()
    model, loader = Network(), make_loader()
    optimizer, loss_fn = make_optimizer(model.parameters()), loss_of(model)
    batches = train(model, loss_fn, optimizer, loader, epochs=1)
    if examined:
        report = examine(model, loss_fn, optimizer, loader, loader)
        assert report.seen == "54 batches examined", report
    gradients = [p.grad for p in model.parameters()]
    values = [None if gradient is None else gradient.clone() for gradient in gradients]
    batches += train(model, loss_fn, optimizer, loader, epochs=2)
    generators = [torch.get_rng_state(), torch.tensor(random.getstate()[1])]
    numpy: Any = np.random.get_state()  # noqa: NPY002
    drawn = torch.tensor([np.random.random(), DRAWN.random()])  # noqa: NPY002
    states = [v for s in optimizer.state_dict()["state"].values() for v in s.values()]
    return [
        *model.state_dict().values(),
        *(state for state in states if isinstance(state, Tensor)),
        *values,
        *batches,
        *generators,
        torch.from_numpy(numpy[1]),
        drawn,
        TARGETS.clone(),
        torch.tensor([model.calls, CountedRows.count, *SEEN]),
    ]


def assert_same_bits(alone: list[Tensor], examined: list[Tensor]) -> None:
    assert len(alone) == len(examined)
    assert all(torch.equal(a, b) for a, b in zip(alone, examined, strict=True))


@pytest.mark.parametrize("loader", LOADERS)
def test_training_goes_on_with_the_same_bits_whatever_the_loader_draws(loader: str) -> None:
    pieces = LOADERS[loader], OPTIMIZERS["momentum"]
    assert_same_bits(run(*pieces, examined=False), run(*pieces, examined=True))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_with_the_same_bits_whatever_the_optimizer_remembers(
    optimizer: str,
) -> None:
    pieces = LOADERS["tensors"], OPTIMIZERS[optimizer]
    assert_same_bits(run(*pieces, examined=False), run(*pieces, examined=True))


def with_a_penalty(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """Make a loss that reads the network itself, changes its targets and draws."""

    def loss(Z: Tensor, y: Tensor) -> Tensor:
        TARGETS.add_(1)
        size = torch.stack([p.square().sum() for p in model.parameters()]).sum()
        model(torch.ones(2, 3))  # brings its statistics on
        return functional.mse_loss(Z, y) + 0.01 * size * torch.rand(())

    return loss


def test_training_goes_on_with_the_same_bits_if_the_loss_holds_the_network_itself(
    rules: None,
) -> None:
    pieces = LOADERS["tensors"], OPTIMIZERS["momentum"]
    alone, examined = (run(*pieces, examined, with_a_penalty) for examined in (False, True))
    assert_same_bits(alone, examined)


def pieces(
    model: nn.Module | None = None,
) -> tuple[nn.Module, nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = Network() if model is None else model
    return model, nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=0.01)


def batches(n: int = 4) -> list[tuple[Tensor, Tensor]]:
    X, y = data()
    return list(zip(X.chunk(n), y.chunk(n), strict=True))


def notes(report: Report) -> str:
    assert not report, report
    (note,) = report.findings
    assert note.code == "not-examined"
    assert f"without {note.title.split(' w')[0]}" in report.seen
    return note.evidence


def test_healthy_pieces_get_no_finding(rules: None) -> None:
    X = torch.randn(64, 3, generator=torch.Generator().manual_seed(3))
    loader = DataLoader(TensorDataset(X, X @ torch.tensor([[1.0], [2.0], [-1.0]])), 16)
    model, loss_fn, _ = pieces(nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    new = torch.randn(64, 3, generator=torch.Generator().manual_seed(4))
    held = DataLoader(TensorDataset(new, new @ torch.tensor([[1.0], [2.0], [-1.0]])), 16)
    report = examine(model, loss_fn, optimizer, loader, held)
    assert not report.findings
    assert str(report) == "No fault found in 54 batches examined."


def test_validation_that_shares_examples_is_found_whatever_their_order(rules: None) -> None:
    X = torch.randn(96, 3, generator=torch.Generator().manual_seed(3))
    Y = X @ torch.tensor([[1.0], [2.0], [-1.0]])
    model, loss_fn, _ = pieces(nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train, held = (DataLoader(TensorDataset(X[p], Y[p]), 16) for p in (slice(64), slice(32, 96)))
    report = examine(model, loss_fn, optimizer, train, held)
    assert [finding.code for finding in report.findings] == ["validation-overlaps-training"]


def test_places_in_files_are_left_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    path.write_text("".join(f"{i}\n" for i in range(50)))
    with path.open() as file:
        rows = ReadRows(file)
        rows.read()
        assert examine(*pieces(), DataLoader(rows, 6)).seen == "50 batches examined"
        assert rows.read() == 1.0


def test_gradients_that_the_loss_would_leave_in_the_network_are_gone() -> None:
    model, _, optimizer = pieces()
    assert examine(model, with_a_penalty(model), optimizer, batches()).seen.startswith("50")
    assert all(p.grad is None for p in model.parameters())


def test_a_schedule_does_not_let_the_copy_step_the_original() -> None:
    model, loss_fn, optimizer = pieces()
    torch.optim.lr_scheduler.StepLR(optimizer, 1)  # puts its own function in the place of step
    loss_fn(model(X_), Y_).backward()
    before = [p.detach().clone() for p in model.parameters()]
    examine(model, loss_fn, optimizer, batches())
    assert_same_bits(before, list(model.parameters()))


def test_a_loader_whose_processes_are_at_work_goes_on() -> None:
    loader = DataLoader(Rows(), 6, num_workers=1, persistent_workers=True)
    first = [X for X, _ in loader]
    workers = loader._iterator
    assert examine(*pieces(), loader).seen == "50 batches examined"
    assert loader._iterator is workers
    assert_same_bits(first, [X for X, _ in loader])


def test_modes_hooks_and_schedule_are_left_as_they_were() -> None:
    model, loss_fn, optimizer = pieces()
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    outputs: list[Tensor] = []
    model.register_forward_hook(lambda _, __, Z: outputs.append(Z))
    model.get_submodule("norm").eval()
    weight: Any = model.get_parameter("first.weight")
    weight.register_hook(lambda gradient: gradient.clamp(-1, 1))
    optimizer.register_step_pre_hook(lambda *_: None)
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def hooks() -> list[Any]:
        own = [list((p._backward_hooks or {}).items()) for p in model.parameters()]
        of_model: list[Any] = [model._forward_hooks, model._forward_pre_hooks]
        of_model += [optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks]
        return [*own, *(list(kind.items()) for kind in of_model)]

    kept, functions = hooks(), (functional.mse_loss, Tensor.backward)
    report = examine(model, loss_fn, optimizer, batches(), batches())
    assert report.seen == "54 batches examined"
    assert [module.training for module in model.modules()] == modes
    assert hooks() == kept
    assert (functional.mse_loss, Tensor.backward) == functions
    assert outputs == [], "the reader's hook ran on the copy, and what it kept is gone"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not optimizer.state
    assert (schedule.last_epoch, optimizer.param_groups[0]["lr"]) == (0, 0.01)


def test_hooks_on_parameters_act_on_the_copy() -> None:
    model, _, optimizer = pieces()
    norms: list[float] = []
    weight: Any = next(model.parameters())
    weight.register_hook(lambda gradient: norms.append(float(gradient.norm())))

    def counting(Z: Tensor, y: Tensor) -> Tensor:
        if len(norms) == 3:
            raise ArithmeticError("three gradients came")
        return functional.mse_loss(Z, y)

    assert examine(model, counting, optimizer, batches()).seen.startswith("3 batches")


@pytest.mark.parametrize("frozen", [False, True])
def test_parts_that_are_in_evaluation_mode_stay_in_it(frozen: bool) -> None:
    model, loss_fn, optimizer = pieces()
    model.get_submodule("norm").train(not frozen)
    statistics = []

    def watched(module: nn.Module, *_: object) -> None:
        statistics.append(module.training)
        if len(statistics) == 2:
            raise ArithmeticError(*statistics)

    model.get_submodule("norm").register_forward_hook(watched)
    error = recorded_error(model, loss_fn, optimizer, batches())
    assert error.args == (not frozen, not frozen)


def recorded_error(*arguments: Any, **options: Any) -> BaseException:
    """Examine, and return what the record holds as the error."""
    kept = []

    class Kept(watch):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            kept.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examination, "watch", Kept)
        examine(*arguments, **options)
    error = kept[0].record.error
    assert error is not None
    return error


def test_a_crash_is_in_the_record_and_not_raised() -> None:
    model, loss_fn, optimizer = pieces(nn.Linear(4, 1))
    error = recorded_error(model, loss_fn, optimizer, batches())
    assert isinstance(error, RuntimeError)
    assert "mat1 and mat2 shapes cannot be multiplied (6x3 and 4x1)" in str(error)
    report = examine(model, loss_fn, optimizer, batches())
    assert report.seen == "0 batches examined"


def test_a_crash_while_loading_or_evaluating_is_in_the_record_too() -> None:
    def fails(x: Tensor) -> Tensor:
        raise LookupError("no such file")

    error = recorded_error(*pieces(), DataLoader(Rows(fails), 6))
    assert isinstance(error, LookupError)
    error = recorded_error(*pieces(), batches(), [(torch.ones(2, 5), torch.ones(2, 1))])
    assert "2x5 and 3x8" in str(error)


def test_a_crash_leaves_everything_as_it_was() -> None:
    seed()
    states = torch.get_rng_state(), random.getstate(), list(SEEN)
    model, loss_fn, optimizer = pieces(nn.Linear(4, 1))
    seed()
    examine(model, loss_fn, optimizer, DataLoader(Rows(moved_on), 6, shuffle=True))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), SEEN) == states[1:]


def test_an_interrupt_goes_on_its_way_when_all_is_as_it_was() -> None:
    def interrupted(x: Tensor) -> Tensor:
        SEEN.append(1)
        raise KeyboardInterrupt

    seed()
    with pytest.raises(KeyboardInterrupt):
        examine(*pieces(), DataLoader(Rows(interrupted), 6))
    assert SEEN == []


def test_a_broken_pipeline_is_found(rules: None) -> None:
    model, _, optimizer = pieces(nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=1)))
    loader = DataLoader(TensorDataset(data()[0], torch.arange(24) % 4), 6, shuffle=True)
    report = examine(model, nn.CrossEntropyLoss(), optimizer, loader)
    assert [f.code for f in report.findings][:1] == ["softmax-before-cross-entropy"]
    assert report.findings[0].severity == "error"
    ignored = examine(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        loader,
        ignore=["softmax-before-cross-entropy"],
    )
    assert "softmax-before-cross-entropy" not in [f.code for f in ignored.findings]


def test_an_optimizer_of_another_network_is_found(rules: None) -> None:
    model, loss_fn, _ = pieces()
    optimizer = torch.optim.SGD(Network().parameters(), lr=0.01)
    assert examine(model, loss_fn, optimizer, batches())


class Yields:
    """Can be read once: gives out the iterator that it holds."""

    def __init__(self, source: Iterator[Any]) -> None:
        self.source = source

    def __iter__(self) -> Iterator[Any]:
        return self.source


class OneShotStream(Stream):
    """Is its own iterator."""

    def __init__(self) -> None:
        self.source = iter(list(zip(*data(), strict=True)))

    def __iter__(self) -> OneShotStream:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        return next(self.source)


class WrappedStream(Stream):
    """Wraps something that can be read once."""

    def __init__(self) -> None:
        self.source = itertools.chain(zip(*data(), strict=True))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.source


def collates_from_outside() -> Any:
    outside = iter(batches(30))
    return DataLoader(TensorDataset(*data()), 6, collate_fn=lambda _: next(outside))


ONCE: dict[str, tuple[Callable[[], Any], str]] = {
    "a generator": (lambda: (batch for batch in batches()), "generator"),
    "an iterator": (lambda: iter(batches()), "list_iterator"),
    "the iterator of a loader": (lambda: iter(with_own_generator()), "SingleProcessDataLoader"),
    "a wrapped generator": (lambda: Yields(batch for batch in batches()), "generator"),
    "a stream that is its own iterator": (
        lambda: DataLoader(OneShotStream(), 6),
        "OneShotStream",
    ),
    "a stream of one pass": (lambda: DataLoader(WrappedStream(), 6), "chain"),
    "a collate function that reads on": (collates_from_outside, "list_iterator"),
}


@pytest.mark.parametrize("kind", ONCE)
def test_what_can_be_read_once_is_not_consumed_but_reported(kind: str) -> None:
    make, name = ONCE[kind]
    loader, other = make(), make()
    reason = notes(examine(*pieces(), loader))
    assert name in reason
    assert "can be read only once" in reason
    assert_same_bits(*([t for batch in source for t in batch] for source in (other, loader)))


def test_the_rest_is_examined_if_one_loader_cannot_be() -> None:
    report = examine(*pieces(), batches(), (batch for batch in batches()))
    assert report.seen == "50 batches examined, without val_loader"
    assert notes(report).startswith("val_loader: it reads from a generator")
    ignored = examine(*pieces(), iter(batches()), ignore=["not-examined"])
    assert not ignored.findings
    assert ignored.seen == "0 batches examined, without train_loader"


def test_a_loss_that_reads_an_iterator_is_not_run() -> None:
    weights = iter([1.0, 2.0, 3.0])
    model, _, optimizer = pieces()
    reason = notes(
        examine(model, lambda Z, y: next(weights) * (Z - y).mean(), optimizer, batches())
    )
    assert "list_iterator" in reason
    assert next(weights) == 1.0


def test_a_network_that_cannot_be_copied_is_reported() -> None:
    model, loss_fn, optimizer = pieces()
    model.generator = (i for i in range(3))  # type: ignore[assignment]
    reason = notes(examine(model, loss_fn, optimizer, batches()))
    assert "cannot be copied: TypeError: cannot pickle 'generator' object" in reason


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_network_that_cannot_be_watched_is_reported() -> None:
    scripted: Any = torch.jit.script(nn.Linear(3, 1))
    optimizer = torch.optim.SGD(scripted.parameters(), lr=0.01)
    reason = notes(examine(scripted, MSE, optimizer, batches()))
    assert reason == "the network: TorchScript cannot be watched"


def test_data_that_are_too_large_to_be_copied_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "LARGEST", 24 * 4 * 4 - 1)
    assert "too large to be copied: 0.0 GiB" in notes(examine(*pieces(), DataLoader(Rows(), 6)))
    for dataset in (TensorDataset(*data()), rows()):
        shared = examine(*pieces(), DataLoader(dataset, 6))
        assert shared.seen == "50 batches examined", "no copy is needed where nothing changes them"


def test_an_empty_loader_is_reported() -> None:
    loader = DataLoader(TensorDataset(*data()), 30, drop_last=True)
    report = examine(*pieces(), loader)
    assert report.seen == "0 batches examined, without train_loader"
    assert report.findings[-1].evidence == "train_loader: it gave no batch"


def test_the_budget_is_kept_between_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(examination, "monotonic", lambda: next(seconds))
    report = examine(*pieces(), batches(), batches(), budget_seconds=20)
    # The clock says 0 at the start, 1 … 9 before steps, 10 after half of the budget, then 11 before
    # a batch is evaluated, and 12 when the rules' share begins.
    assert report.seen == "10 batches examined"
    seconds = itertools.count()
    reason = notes(examine(*pieces(), batches(), budget_seconds=0))
    assert reason == "train_loader: the budget was used up before"


class TakesTwo(nn.Module):
    """Takes an input and a mask, or a state it can do without."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, X: Tensor, mask: Tensor, scale: Tensor | None = None) -> Tensor:
        Z: Tensor = self.linear(X * mask)
        return Z if scale is None else scale * Z


class TakesPacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.linear = nn.GRU(3, 4), nn.Linear(4, 1)

    def forward(self, sequences: PackedSequence) -> Tensor:
        Z: Tensor = self.linear(self.rnn(sequences)[1][0])
        return Z


class TakesMapping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        Z: Tensor = self.linear(batch["X"] * batch["mask"])
        return Z


def weighted(Z: Tensor, y: Tensor, w: Tensor) -> Tensor:
    return (w * (Z - y).square()).mean()


X_, Y_ = torch.randn(6, 3, generator=torch.Generator().manual_seed(2)), torch.ones(6, 1)
MASK = torch.ones(6, 3)
MSE = nn.MSELoss()
BATCHES: dict[str, tuple[Callable[[], nn.Module], Any, Any]] = {
    "a list": (lambda: nn.Linear(3, 1), MSE, [X_, Y_]),
    "a nested pair": (TakesTwo, MSE, ((X_, MASK), Y_)),
    "three in a row": (TakesTwo, MSE, (X_, MASK, Y_)),
    "a weight for the loss": (lambda: nn.Linear(3, 1), weighted, (X_, Y_, torch.ones(6, 1))),
    "a mapping": (TakesTwo, MSE, {"label": Y_, "mask": MASK, "X": X_, "name": ["a"] * 6}),
    "a mapping and a target": (TakesTwo, MSE, ({"X": X_, "mask": MASK}, Y_)),
    "a mapping taken whole": (TakesMapping, MSE, ({"X": X_, "mask": MASK}, Y_)),
    "packed sequences": (TakesPacked, MSE, (pack_sequence([X_, X_[:2]]), Y_[:2])),
    "no targets": (lambda: nn.Linear(3, 1), lambda Z: Z.square().mean(), (X_,)),
}


@pytest.mark.parametrize("kind", BATCHES)
def test_batches_of_many_forms_are_understood(kind: str) -> None:
    make, loss_fn, batch = BATCHES[kind]
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    report = examine(model, loss_fn, optimizer, [batch], [batch])
    assert report.seen == "51 batches examined", report
    assert not report


UNCLEAR: dict[str, tuple[Callable[[], nn.Module], Any, str]] = {
    "inputs alone": (lambda: nn.Linear(3, 1), X_, "got Tensor"),
    "no target": (lambda: nn.Linear(3, 1), (X_,), "a batch has 1 parts"),
    "a third part": (lambda: nn.Linear(3, 1), (X_, Y_, Y_), "a batch has 3 parts"),
    "names of its own": (lambda: nn.Linear(3, 1), {"X": X_, "y": Y_}, "takes nothing"),
    "two targets": (lambda: nn.Linear(3, 1), {"input": X_, "y": Y_, "z": Y_}, "got 2"),
    "a state or a part": (nn.GRU, ((X_, X_), Y_), "takes 1 to 2 arguments"),
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_batches_that_cannot_be_understood_are_reported_not_guessed_at(kind: str) -> None:
    make, batch, reason = UNCLEAR[kind]
    model = nn.GRU(3, 1) if make is nn.GRU else make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    assert reason in notes(examine(model, MSE, optimizer, [batch]))


def test_batches_go_to_the_networks_device() -> None:
    from dlbook.doctor.batches import parts_of

    parts = parts_of(((X_, MASK), Y_), TakesTwo(), MSE).to(torch.device("meta"))
    assert {part.device.type for part in (*parts.args, *parts.targets)} == {"meta"}
    assert X_.device.type == "cpu"


def test_what_a_closure_is_needed_for_gets_one() -> None:
    model, loss_fn, _ = pieces(nn.Linear(3, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
    assert str(examine(model, loss_fn, optimizer, batches())) == (
        "No fault found in 50 batches examined."
    )


def test_a_compiled_network_is_examined_without_its_compiler() -> None:
    model, loss_fn, optimizer = pieces()

    def refused(*_: Any) -> Any:
        raise AssertionError("compiled")

    compiled: Any = torch.compile(model, backend=refused)
    assert examine(compiled, loss_fn, optimizer, batches()).seen == "50 batches examined"


def test_a_network_spread_over_processes_is_examined_in_its_own() -> None:
    model, loss_fn, optimizer = pieces()
    torch.distributed.init_process_group(
        "gloo",
        store=torch.distributed.HashStore(),  # type: ignore[attr-defined]
        rank=0,
        world_size=1,
    )
    try:
        spread = nn.parallel.DistributedDataParallel(model)
        assert examine(spread, loss_fn, optimizer, batches()).seen == "50 batches examined"
        assert all(p.grad is None for p in model.parameters())
    finally:
        torch.distributed.destroy_process_group()


def test_weights_that_are_computed_can_be_examined() -> None:
    with pytest.warns(FutureWarning, match="weight_norm"):
        layer = nn.utils.weight_norm(nn.Linear(3, 1))
    layer(X_)  # its weight has a graph from now on, which copy.deepcopy refuses
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
    report = examine(layer, MSE, optimizer, batches())
    assert str(report) == "No fault found in 50 batches examined."


def test_an_examination_without_gradients_around_it_is_the_same() -> None:
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            report = examine(*pieces(), batches())
        assert report.seen == "50 batches examined"


GOOD: dict[str, Any] = {
    "model": nn.Linear(3, 1),
    "loss_fn": nn.MSELoss(),
    "optimizer": torch.optim.SGD([nn.Parameter(torch.ones(2))]),
    "train_loader": [],
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model", nn.Linear, r"expected model to be an nn\.Module, got the class Linear"),
        ("loss_fn", nn.MSELoss, "expected loss_fn to be .*, got the class MSELoss"),
        ("loss_fn", None, "expected loss_fn to be .*, got NoneType"),
        ("optimizer", torch.optim.SGD, "expected an optimizer .*, got the class SGD"),
        ("optimizer", {}, "expected an optimizer .*, got dict"),
        ("train_loader", 3, "expected train_loader to yield batches.*, got int"),
        ("train_loader", X_, "expected train_loader to yield batches.*, got Tensor"),
        ("val_loader", {"X": X_}, "expected val_loader to yield batches.*, got dict"),
        ("val_loader", DataLoader, "expected val_loader to yield .*, got the class DataLoader"),
        ("ignore", "rate-too-high", "expected ignore to be a list of codes, got 'rate-too-high'"),
        ("budget_seconds", "10", "expected budget_seconds to be a number, got '10'"),
        ("budget_seconds", -1, "expected budget_seconds of at least 0, got -1"),
        ("budget_seconds", float("nan"), "expected budget_seconds of at least 0, got nan"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(
    name: str, value: Any, message: str
) -> None:
    kind = ValueError if "at least" in message else TypeError
    with pytest.raises(kind, match=message):
        examine(**{**GOOD, name: value})
