from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlbook.pytorch.randomness import (
    deterministic,
    generators_state,
    seed_all,
    set_generators_state,
)


def draws() -> list[Any]:
    """Draw from every global generator; a normal draw leaves a second one waiting in some."""
    return [
        torch.randn(3).tolist(),
        np.random.standard_normal(3).tolist(),  # noqa: NPY002  # the global one is under test
        random.gauss(0, 1),
        random.random(),
    ]


@pytest.fixture(autouse=True)
def as_it_was() -> Any:
    """Leave the generators to the tests that follow as they were."""
    state = generators_state()
    yield
    set_generators_state(state)


def test_a_seed_decides_every_draw() -> None:
    seed_all(3)
    first = draws()
    seed_all(3)
    assert draws() == first
    seed_all(4)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


def test_the_generator_that_seeding_returns_is_seeded_likewise_and_shared_with_no_one() -> None:
    generator = seed_all(2**32 - 1)
    drawn = torch.randn(5, generator=generator)
    assert torch.equal(drawn, torch.randn(5)), "drawing from one left the other as it was"
    assert generator.device == torch.device("cpu")
    assert generator is not torch.default_generator


def test_every_cuda_device_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    seed_all(5)
    assert seeded == [5]


@pytest.mark.parametrize(
    ("seed", "error", "told"),
    [
        (-1, ValueError, "expected a seed from 0 to 4294967295, got -1"),
        (2**32, ValueError, "got 4294967296"),
        (0.5, TypeError, "'float' object cannot be interpreted as an integer"),
    ],
)
def test_a_seed_that_numpy_cannot_take_is_refused_before_anything_is_seeded(
    seed: Any, error: type[Exception], told: str
) -> None:
    state = generators_state()
    expected = draws()
    set_generators_state(state)
    with pytest.raises(error, match=told):
        seed_all(seed)
    assert draws() == expected


def test_draws_after_restoring_are_those_that_would_have_come_through_a_file_too(
    tmp_path: Path,
) -> None:
    seed_all(0)
    draws()  # an odd number of normal draws: a second one waits
    torch.save(generators_state(), tmp_path / "state.pt")
    expected = draws()
    seed_all(1)
    set_generators_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draws() == expected


def test_a_state_stays_as_it_was_taken_when_draws_go_on() -> None:
    state = generators_state()
    expected = draws()
    draws()
    for _ in range(2):
        set_generators_state(state)
        assert draws() == expected


class FakeCuda:
    """Two CUDA devices whose generators count their draws."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.states = [torch.tensor([8], dtype=torch.uint8), torch.tensor([9], dtype=torch.uint8)]
        self.started = True
        self.calls: list[str] = []
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 2)
        patch.setattr(torch.cuda, "is_initialized", lambda: self.started)
        patch.setattr(torch.cuda, "init", lambda: self.calls.append("init"))
        patch.setattr(torch.cuda, "get_rng_state_all", lambda: [s.clone() for s in self.states])
        patch.setattr(torch.cuda, "set_rng_state_all", self.restore)

    def restore(self, states: list[torch.Tensor]) -> None:
        self.calls.append("restore")
        self.states = list(states)


def test_the_state_of_every_cuda_device_is_kept_and_restored_once_cuda_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda(monkeypatch)
    state = generators_state()
    cuda.states = [torch.zeros(1, dtype=torch.uint8)] * 2
    set_generators_state(state)
    assert [state.item() for state in cuda.states] == [8, 9]
    assert cuda.calls == ["init", "restore"], "else a seed that waits for the start would win"


def test_a_cuda_that_was_not_used_is_not_started_for_its_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda(monkeypatch)
    cuda.started = False
    state = generators_state()
    assert state["cuda"] == []
    set_generators_state(state)
    assert cuda.calls == []


def test_the_state_of_an_apple_gpu_is_kept_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[int] = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: torch.tensor([4], dtype=torch.uint8))
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: restored.append(state.item()))
    set_generators_state(generators_state())
    assert restored == [4]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"torch": None}, "the generators' state is damaged"),
        ({"torch": torch.zeros(3, dtype=torch.uint8)}, "the generators' state is damaged"),
        ({"numpy": ("MT19937", [1, 2], 0, 0, 0.0)}, "the generators' state is damaged"),
        ({"python": (3, (1, 2), None)}, "the generators' state is damaged"),
        (
            {"cuda": [torch.zeros(16, dtype=torch.uint8)]},
            r'generators of 1 CUDA devices, this machine has 0: set state\["cuda"\] to \[\]',
        ),
        (
            {"mps": torch.zeros(16, dtype=torch.uint8)},
            r'an MPS device, this machine has none: set state\["mps"\] to None',
        ),
    ],
)
def test_a_state_that_cannot_be_restored_is_told_and_changes_nothing(
    change: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    other = generators_state() | {"cuda": [], "mps": None}
    seed_all(6)
    now = generators_state()
    expected = draws()
    set_generators_state(now)
    with pytest.raises(ValueError, match=told):
        set_generators_state(other | change)
    assert draws() == expected


def test_parts_that_are_missing_are_all_named() -> None:
    state = generators_state()
    del state["numpy"], state["mps"]
    with pytest.raises(ValueError, match=r"got no mps, numpy$"):
        set_generators_state(state)


def settings() -> tuple[bool, ...]:
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
    )


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_cuda")
def test_deterministic_mode_is_on_inside_and_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = settings()
    with deterministic():
        assert settings() == (True, False, True, False)
        with deterministic(enabled=False):
            assert settings() == (False, False, False, False)
        assert settings() == (True, False, True, False)
    assert settings() == before
    with pytest.raises(KeyError), deterministic():
        raise KeyError
    assert settings() == before


@pytest.mark.usefixtures("no_cuda")
def test_deterministic_mode_gives_back_one_that_only_warned() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with deterministic():
            assert settings()[:2] == (True, False)
        assert settings()[:2] == (True, True)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("no_cuda")
def test_an_operation_without_a_deterministic_implementation_is_told() -> None:
    X = torch.zeros(3)
    with deterministic(), pytest.raises(RuntimeError, match="put_ does not have a deterministic"):
        X.put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))


def test_cublas_gets_its_workspace_before_cuda_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeCuda(monkeypatch).started = False
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    with deterministic():
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with deterministic():
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8", "chosen by the user, and as good"


def test_a_cuda_that_started_without_that_workspace_is_told_before_anything_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    FakeCuda(monkeypatch)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = settings()
    with pytest.raises(RuntimeError, match="start Python with CUBLAS_WORKSPACE_CONFIG=:4096:8"):
        deterministic().__enter__()
    assert settings() == before
    with deterministic(enabled=False):
        pass
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with deterministic():
        assert settings()[0]
