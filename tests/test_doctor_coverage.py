"""Of sound programs of many kinds the doctor changes no bit, and says no warning."""

from __future__ import annotations

import gc
import itertools
import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_flatten

from dlbook.doctor import Report, watch
from dlbook.doctor.discovery import watch_everything
from tests.processes import watched
from tests.processes.group import together
from tests.watched_programs import (
    COPIES,
    PROGRAMS,
    STEPS,
    Program,
    Watching,
    Wrapped,
    batches,
    perceptron,
    seed,
    sgd,
    step,
)

Bits = list[Any]


def bits(state: list[Any]) -> Bits:
    """Write down all that a program ended with, so that equality means equal bits."""
    return [_bits(leaf) for leaf in tree_flatten(state)[0]]


def _bits(leaf: object) -> object:
    if isinstance(leaf, Tensor):
        whole = torch.view_as_real(leaf.detach()) if leaf.is_complex() else leaf.detach()
        return leaf.dtype, leaf.shape, whole.contiguous().reshape(-1).view(torch.uint8).tolist()
    if isinstance(leaf, np.ndarray):
        return leaf.dtype, leaf.shape, leaf.tobytes()
    return leaf.hex() if isinstance(leaf, float) else leaf


def run(program: Program, watching: Watching) -> list[Any]:
    seed()
    return program(watching)


@cache
def alone(name: str) -> tuple[Bits, list[float]]:
    state = run(PROGRAMS[name], lambda *_: nullcontext())
    return bits(state), state[0]


class Ways:
    """Ways to watch, and what was reported."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    @contextmanager
    def from_beside(self, models: Any, optimizers: Any) -> Iterator[None]:
        with watch(models, optimizers) as w:
            yield
        self.reports.append(w.report())

    @contextmanager
    def asked_on_the_way(self, models: Any, optimizers: Any) -> Iterator[None]:
        steps = itertools.count()
        with watch(models, optimizers, every=3) as w, ExitStack() as undo:
            for optimizer in [optimizers] if hasattr(optimizers, "step") else optimizers:
                hook = optimizer.register_step_post_hook(
                    lambda *_: self.reports.append(w.report()) if next(steps) % 9 == 7 else None
                )
                undo.callback(hook.remove)
            yield
        self.reports.append(w.report())

    @contextmanager
    def finding_by_itself(self, *_: Any) -> Iterator[None]:
        with watch_everything() as w:
            yield
        self.reports.append(w.report())


WAYS: list[Callable[[Ways], Watching]] = [
    lambda ways: ways.from_beside,
    lambda ways: ways.asked_on_the_way,
    lambda ways: ways.finding_by_itself,
]
NAMES = ["beside", "asked", "everything"]


def silent(reports: list[Report]) -> None:
    assert reports
    for report in reports:
        assert not report, str(report)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_are_sound(name: str) -> None:
    _, losses = alone(name)
    first, last = np.mean(losses[:4]), np.mean(losses[-4:])
    assert math.isfinite(last)
    assert last < 0.75 * first, f"from {first:.3f} to {last:.3f}"


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_watched_run_ends_with_the_same_bits_and_without_a_warning(
    name: str, way: Callable[[Ways], Watching]
) -> None:
    ways = Ways()
    state = run(PROGRAMS[name], way(ways))
    assert bits(state) == alone(name)[0]
    silent(ways.reports)


class Counting:
    """A backend that counts the graphs that were compiled, and how often they ran."""

    def __init__(self, backend: str) -> None:
        self.backend = torch._dynamo.lookup_backend(backend)
        self.counts = [0, 0]

    def __call__(self, graph: Any, inputs: Any) -> Callable[..., Any]:
        self.counts[0] += 1
        compiled: Callable[..., Any] = self.backend(graph, inputs)

        def ran(*args: Any) -> Any:
            self.counts[1] += 1
            return compiled(*args)

        return ran


def compiled(watching: Watching, how: str, backend: str, fullgraph: bool) -> list[Any]:
    torch._dynamo.reset()
    model = original = Wrapped()
    counting = Counting(backend)
    if how == "in place":
        model.compile(backend=counting, fullgraph=fullgraph)
    else:
        model = torch.compile(model, backend=counting, fullgraph=fullgraph)  # type: ignore[assignment]
    optimizer = sgd(original)
    losses = []
    with watching(original if how == "original watched" else model, optimizer):
        for X, y in batches():
            Z, _ = model(((X[:, :3], X[:, 3:]), y))
            losses.append(step(optimizer, functional.cross_entropy(Z, y)))
        model.eval()
        with torch.no_grad():
            model(((X[:, :3], X[:, 3:]), y))
    torch._dynamo.reset()
    states = [dict(original.state_dict()), optimizer.state_dict(), torch.get_rng_state()]
    return [losses, *states, counting.counts]


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
@pytest.mark.parametrize("fullgraph", [False, True], ids=["parts", "full graph"])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("how", ["wrapped", "original watched", "in place"])
def test_a_compiled_network_stays_compiled_and_ends_with_the_same_bits(
    how: str, backend: str, fullgraph: bool, way: Callable[[Ways], Watching]
) -> None:
    ways = Ways()
    program = partial(compiled, how=how, backend=backend, fullgraph=fullgraph)
    unwatched = run(program, lambda *_: nullcontext())
    assert unwatched[0][-1] < 0.75 * unwatched[0][0]
    assert unwatched[-1][1] == STEPS + 1
    assert bits(run(program, way(ways))) == bits(unwatched)
    silent(ways.reports)


@pytest.mark.parametrize("how", ["wrapped", "original watched", "in place"])
def test_the_calls_of_a_compiled_network_are_seen(how: str) -> None:
    seen = []

    @contextmanager
    def looking(models: Any, optimizers: Any) -> Iterator[None]:
        with watch(models, optimizers) as w, watch_everything() as everything:
            yield
        seen.extend([w.record, everything.record])

    run(partial(compiled, how=how, backend="eager", fullgraph=True), looking)
    for record in seen:
        assert record.counts["forward"] == STEPS + 1
        assert next(facts.name for facts in record.parameters.values()) == "body.0.weight"
        assert record.tapes[0].whole
        assert [entry.name for entry in record.tapes[0].networks] == [""]


def test_processes_that_train_together_end_with_the_same_bits(tmp_path: Path) -> None:
    for process in together(2, watched.everything, tmp_path):
        for alone, *others in process["found"].values():
            assert alone[0][-1] < 0.75 * alone[0][0]
            assert all(bits(other) == bits(alone) for other in others)
        assert set(process["told"]) == {""}, "no warning in any of them"


@pytest.mark.parametrize("how", COPIES)
def test_copies_made_within_carry_nothing_of_the_doctors(how: str) -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    model.register_forward_hook(keeps_what_it_is_given)
    optimizer = sgd(model)
    with watch(model, optimizer) as w, watch_everything():
        X, y = next(batches())
        step(optimizer, functional.cross_entropy(model(X), y))
        other = COPIES[how](model)
        seen = dict(w.record.counts)
        COPIES[how](optimizer)
        other(X)
    assert w.record.counts == seen, "the copy is another network"
    for module in other.modules():
        hooks = [
            hook
            for kept in (value for name, value in vars(module).items() if name.endswith("_hooks"))
            for hook in kept.values()
        ]
        assert hooks == ([keeps_what_it_is_given] if module is other else [])
    assert not any(p._backward_hooks for p in other.parameters())
    assert all(
        torch.equal(p, q) for p, q in zip(other.parameters(), model.parameters(), strict=True)
    )


def keeps_what_it_is_given(_model: nn.Module, _args: Any, Z: Tensor) -> Tensor:
    return Z


def test_a_network_may_be_deleted_within() -> None:
    seed()
    model = perceptron()
    optimizer = sgd(model)
    with watch(model, optimizer) as w:
        for X, y in batches():
            step(optimizer, functional.cross_entropy(model(X), y))
        del model, optimizer
        gc.collect()
    silent([w.report()])


def test_nothing_of_the_loop_is_kept_alive_but_what_the_record_holds() -> None:
    seed()
    model = perceptron()
    optimizer = sgd(model)
    graphs = []
    with watch(model, optimizer):
        for X, y in batches(8):
            loss = functional.cross_entropy(model(X), y)
            graphs.append(weakref.ref(loss))
            step(optimizer, loss)
            del loss
        assert [graph() for graph in graphs] == [None] * 8


@pytest.mark.parametrize("order", ["same", "everything outside", "everything inside"])
def test_a_loop_may_be_watched_twice_at_a_time(order: str) -> None:
    reports = []

    @contextmanager
    def twice(models: Any, optimizers: Any) -> Iterator[None]:
        outer = watch_everything() if order == "everything outside" else watch(models, optimizers)
        inner = watch_everything() if order == "everything inside" else watch(models, optimizers)
        with outer, inner:
            yield
            reports.append(inner.report())
        reports.append(outer.report())

    for name in ("plain", "evaluated_every_epoch", "own_hooks"):
        assert bits(run(PROGRAMS[name], twice)) == alone(name)[0]
    silent(reports)
    assert {report.seen for report in reports} == {"40 steps", "64 steps"}


def test_several_runs_may_be_watched_one_after_another() -> None:
    ways, untouched = Ways(), hooks()
    for name in ("plain", "lbfgs", "plain"):
        assert bits(run(PROGRAMS[name], ways.from_beside)) == alone(name)[0]
        assert hooks() == untouched
    silent(ways.reports)
    assert [report.seen for report in ways.reports] == ["40 steps", "8 steps", "40 steps"]


def test_one_watcher_may_be_entered_again() -> None:
    seed()
    model = perceptron()
    optimizer = sgd(model)
    w = watch(model, optimizer)
    untouched = hooks(model)
    losses = []
    for _ in range(2):
        with w:
            for X, y in batches(20):
                losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
        assert hooks(model) == untouched
    silent([w.report()])
    assert w.report().seen == "40 steps"
    assert [loss.hex() for loss in losses] == [loss.hex() for loss in alone("plain")[1]]


def test_one_watcher_around_itself_is_one_watcher() -> None:
    seed()
    model = perceptron()
    optimizer = sgd(model)
    untouched = hooks(model)
    with watch(model, optimizer) as w:
        with w:
            for X, y in batches(12):
                step(optimizer, functional.cross_entropy(model(X), y))
        for X, y in batches(20):
            step(optimizer, functional.cross_entropy(model(X), y))
    assert w.record.counts == {"forward": 32, "backward": 32, "step": 32}
    assert hooks(model) == untouched
    silent([w.report()])


def test_measures_of_the_readers_own_are_noted_with_their_step() -> None:
    seed()
    model = perceptron()
    optimizer = sgd(model)
    with watch(model, optimizer) as w:
        for X, y in batches(4):
            step(optimizer, functional.cross_entropy(model(X), y))
        Z = model.eval()(X)
        w.log(accuracy=Z.argmax(1).eq(y).float().mean(), epoch=1, best=np.float64(0.5))
        step(optimizer, functional.cross_entropy(model.train()(X), y))
        w.log(loss=0.25)
    accuracy = float((Z.argmax(1) == y).float().mean())
    assert w.record.logged == [
        (4, {"accuracy": accuracy, "epoch": 1.0, "best": 0.5}),
        (5, {"loss": 0.25}),
    ]
    assert all(type(value) is float for _, values in w.record.logged for value in values.values())


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("0.9", "'0.9'"),
        (None, "None"),
        (True, "True"),
        ([0.9], "[0.9]"),
        (torch.ones(2), r"a tensor of shape (2,)"),
        (1j, "1j"),
    ],
)
def test_what_is_no_number_is_refused_and_nothing_noted(value: Any, told: str) -> None:
    model = perceptron()
    w = watch(model, sgd(model))
    with pytest.raises(TypeError) as refused:
        w.log(loss=0.5, accuracy=value)
    assert str(refused.value) == f"expected a number for accuracy, got {told}"
    assert not w.record.logged


def hooks(model: nn.Module | None = None) -> list[Any]:
    """List what the doctor puts in place of PyTorch's, or beside it."""
    shared = [vars(torch.nn.modules.module)[name] for name in vars(torch.nn.modules.module)]
    found: list[Any] = [len(held) for held in shared if isinstance(held, dict)]
    found += [Tensor.backward, torch.autograd.backward, torch.manual_seed]
    found += [nn.Module.__call__, nn.Module.train, nn.Module.load_state_dict]
    found += [torch.optim.Optimizer.__init__]
    found += [vars(nn.Module).keys(), torch.overrides._get_current_function_mode()]
    if model is not None:
        found += [
            dict(value)
            for module in model.modules()
            for name, value in vars(module).items()
            if name.endswith("_hooks")
        ]
        found += [p._backward_hooks or {} for p in model.parameters()]
    return [set(item) if isinstance(item, type({}.keys())) else item for item in found]
