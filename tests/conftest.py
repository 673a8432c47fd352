"""Lets the tests of the PyTorch half run on another device than the CPU: see tests/on_device.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from hypothesis import settings

from tests.on_device import DEVICE, VARIABLE, WORKSPACE, all_bits, refusal

ELSEWHERE = DEVICE != "cpu"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "on_the_cpu(reason): not one of the tests for other devices")
    if not ELSEWHERE:
        return
    if complaint := refusal():
        raise pytest.UsageError(complaint)
    for name, value in WORKSPACE.items():
        os.environ.setdefault(name, value)
    settings.register_profile("device", deadline=None)  # a kernel is loaded when it is first used
    settings.load_profile("device")


def pytest_report_header() -> str | None:
    return f"{VARIABLE}: {DEVICE}" if ELSEWHERE else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not ELSEWHERE:
        return
    left_out = [item for item in items if item.get_closest_marker("on_the_cpu")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True, scope="session")
def _all_bits() -> Iterator[None]:
    with all_bits() if ELSEWHERE else nullcontext():
        yield


@pytest.fixture
def same_bits() -> Iterator[None]:
    """Let a GPU add up in the same order each time, as one thread of a CPU does anyway."""
    from dlbook.pytorch.randomness import deterministic

    with deterministic(ELSEWHERE):
        yield
