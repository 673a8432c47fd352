from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.processes import cases
from tests.processes.group import together

Results = dict[str, Any]


@pytest.fixture(scope="module", params=[2, 3], ids=["two", "three"])
def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each process of a group got: started once, for all tests."""
    return together(request.param, cases.everything, tmp_path_factory.mktemp("group"))


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
