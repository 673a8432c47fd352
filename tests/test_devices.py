from __future__ import annotations

import os
import platform
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from dlbook.pytorch.devices import available_devices, best_device, describe, move


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a CPU alone, whatever the suite runs on."""
    monkeypatch.delenv("DLBOOK_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_a_bare_machine_computes_on_its_cpu() -> None:
    assert available_devices() == ["cpu"]
    assert best_device() == torch.device("cpu")


@pytest.mark.usefixtures("apple")
def test_mps_comes_before_the_cpu() -> None:
    assert best_device() == torch.device("mps")


@pytest.mark.usefixtures("apple", "two_gpus")
def test_cuda_comes_before_all_and_each_gpu_can_be_named() -> None:
    assert available_devices() == ["cuda", "cuda:0", "cuda:1", "mps", "cpu"]
    assert best_device("auto") == torch.device("cuda")
    assert best_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match="'cuda:2'"):
        best_device("cuda:2")


@pytest.mark.usefixtures("two_gpus")
def test_the_variable_overrides_the_machine_and_the_argument_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DLBOOK_DEVICE", "cuda:1")
    assert best_device() == torch.device("cuda:1")
    assert best_device("auto") == torch.device("cuda:1")
    assert best_device("cpu") == torch.device("cpu")
    assert best_device(torch.device("cpu")) == torch.device("cpu")
    monkeypatch.setenv("DLBOOK_DEVICE", "")
    assert best_device() == torch.device("cuda")


@pytest.mark.parametrize("name", ["cuda", "mps", "gpu", "CPU"])
def test_a_missing_or_misspelt_device_is_answered_with_what_there_is(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = rf"device '{name}' \({{}}\) is not available: this machine has cpu$"
    with pytest.raises(ValueError, match=message.format("argument")):
        best_device(name)
    monkeypatch.setenv("DLBOOK_DEVICE", name)
    with pytest.raises(ValueError, match=message.format("DLBOOK_DEVICE")):
        best_device()


@dataclass
class GPU:
    """What CUDA tells of a device."""

    name: str = "NVIDIA H200"
    total_memory: int = 140 * 2**30
    major: int = 9
    minor: int = 0
    gcnArchName: str = "gfx942"  # noqa: N815  # PyTorch's name


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_is_described_by_name_memory_and_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = [GPU(), GPU("NVIDIA A100", 80 * 2**30, 8)]
    monkeypatch.setattr(torch.cuda, "get_device_properties", gpus.__getitem__)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert describe("cuda:0") == "cuda:0: NVIDIA H200, 140.0 GiB, capability 9.0"
    assert describe("cuda") == "cuda:1: NVIDIA A100, 80.0 GiB, capability 8.0"
    assert describe() == describe("cuda:1") == describe("cuda")
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert describe("cuda:0") == "cuda:0: NVIDIA H200, 140.0 GiB, gfx942"


@pytest.mark.usefixtures("apple")
def test_an_apple_gpu_is_described_by_name_memory_and_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 12 * 2**30)
    monkeypatch.setattr(torch.backends.mps, "get_name", lambda: "Apple M4")
    monkeypatch.setattr(torch.backends.mps, "get_core_count", lambda: 10)
    assert describe() == "mps: Apple M4, 12.0 GiB, 10 cores"


def test_a_cpu_is_described_by_name_memory_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 6 * 2**18}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    name = torch.cpu.get_capabilities()["cpu_name"]
    level = torch.backends.cpu.get_cpu_capability()
    assert describe() == f"cpu: {name}, 6.0 GiB, {level}, 1 thread"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.delattr(os, "sysconf")
    assert describe("cpu") == f"cpu: {name}, unknown memory, {level}, 8 threads"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": ""})
    assert describe("cpu").startswith(f"cpu: {platform.machine()}, ")


def test_a_device_that_is_not_there_is_not_described() -> None:
    with pytest.raises(ValueError, match=r"'cuda' .* is not available"):
        describe("cuda")


class Pair(NamedTuple):
    X: Any
    y: Any


@dataclass
class Example:
    X: Tensor
    name: str
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = len(self.X)
        self.X = self.X[:1]  # a second run would cut again


@dataclass(frozen=True, slots=True)
class Frozen:
    X: Tensor
    weight: float = 0.5


class Graph:
    """An object of another library, which moves itself in place, as some do."""

    def __init__(self, nodes: Tensor) -> None:
        self.nodes = nodes

    def to(self, device: torch.device) -> Graph:
        self.nodes = self.nodes.to(device)
        return self


def zeros() -> Tensor:
    return torch.zeros(3, 2)


META = torch.device("meta")  # holds shapes and no numbers, and is there on every machine


def test_a_tensor_comes_back_where_it_was_moved_and_the_one_that_came_stays() -> None:
    X = zeros()
    assert move(X, "meta").device == META
    assert X.device == torch.device("cpu")
    assert move(X, "cpu") is X, "what is there already is not copied"


def test_containers_of_every_kind_come_back_in_their_kind() -> None:
    grouped = defaultdict(list, {"a": [zeros()]})
    batches: list[Any] = [
        (zeros(), [zeros()]),
        Pair(zeros(), (zeros(), 3)),
        {"X": zeros(), 2: {"deep": zeros()}},
        OrderedDict(b=zeros(), a=zeros()),
        UserDict(X=zeros()),
        MappingProxyType({"X": zeros()}),
        grouped,
        torch.max(zeros(), dim=1),
    ]
    for batch in batches:
        moved = move(batch, "meta")
        assert type(moved) is type(batch)
        assert devices(moved) == {META}, batch
        assert devices(batch) == {torch.device("cpu")}, "what came has changed"
    assert move(grouped, "meta").default_factory is list
    assert list(move(OrderedDict(b=zeros(), a=zeros()), "meta")) == ["b", "a"]


def devices(batch: Any) -> set[torch.device]:
    if isinstance(batch, Tensor):
        return {batch.device}
    inner = batch.values() if isinstance(batch, Mapping) else batch
    return set().union(*(devices(part) for part in inner if not isinstance(part, int)))


@pytest.mark.parametrize(
    "plain", [None, 3, 2.5, True, 1j, Decimal("0.1"), np.float32(2), np.bool_(True), "two", b"two"]
)
def test_numbers_and_text_are_left_as_they_are(plain: Any) -> None:
    assert move([plain], "meta")[0] is plain
    assert move(torch.Size([2, 3]), "meta") == torch.Size([2, 3])


def test_a_dataclass_comes_back_whole_and_is_not_made_anew() -> None:
    came = Example(zeros(), "three rows")
    moved = move(came, "meta")
    assert (moved.rows, moved.name, moved.X.shape) == (3, "three rows", (1, 2))
    assert (moved.X.device, came.X.device) == (META, torch.device("cpu"))
    frozen = Frozen(zeros())
    moved_frozen = move(frozen, "meta")
    assert (moved_frozen.X.device, moved_frozen.weight) == (META, 0.5)
    assert frozen.X.device == torch.device("cpu")


def test_an_object_that_moves_itself_in_place_is_copied_first() -> None:
    came = Graph(zeros())
    moved = move([came], "meta")[0]
    assert (type(moved), moved.nodes.device) == (Graph, META)
    assert came.nodes.device == torch.device("cpu")


def test_packed_sequences_keep_their_lengths_on_the_cpu() -> None:
    packed = pack_sequence([torch.ones(3), torch.ones(2)])
    moved = move(packed, "meta")
    assert moved.data.device == META
    assert moved.batch_sizes.device == torch.device("cpu"), "as PyTorch demands"


def test_copies_from_pinned_memory_need_not_be_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def to(self: Tensor, *given: Any, **options: Any) -> Tensor:
        asked.append(options)
        return self

    monkeypatch.setattr(Tensor, "to", to)
    move([zeros()], "cpu", non_blocking=True)
    move([zeros()], "cpu")
    assert asked == [{"non_blocking": True}, {"non_blocking": False}]


def test_a_module_is_refused_since_it_moves_in_place() -> None:
    with pytest.raises(TypeError, match=r"moves in place: use model\.to\(device\)"):
        move((zeros(), nn.Linear(2, 2)), "meta")


@pytest.mark.parametrize(
    ("stranger", "told"),
    [
        (np.zeros(3), r"got numpy\.ndarray: turn it into a tensor"),
        ({1, 2}, r"got builtins\.set"),
        (Frozen, r"got builtins\.type"),
        (Graph, r"got builtins\.type"),
    ],
)
def test_what_nothing_can_move_is_refused_and_not_left_behind(stranger: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        move({"X": zeros(), "y": stranger}, "cpu")


def test_an_object_that_returns_nothing_is_told() -> None:
    class Silent:
        def to(self, device: torch.device) -> None:
            pass

    with pytest.raises(TypeError, match=r"Silent\.to\(device\) to return what it moved, got None"):
        move(Silent(), "meta")
