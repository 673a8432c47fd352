from __future__ import annotations

import pytest
import torch

from dlbook.pytorch import available_devices, best_device


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
