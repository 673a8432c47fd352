"""``fit(..., compile=True)``: the numbers and names of a run that is not compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from dlbook.history import History
from dlbook.pytorch.training import fit
from tests.on_device import DEVICE
from tests.torch_runs import CLASSES, batches, every_kind_of_layer, network, sgd, vector


@pytest.fixture
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Let torch.compile trace and differentiate as ever, but write no C++; count its graphs."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    yield torch._dynamo.utils.counters["stats"]
    torch._dynamo.reset()


@pytest.mark.parametrize("make", [network, every_kind_of_layer], ids=["module", "sequential"])
def test_a_compiled_run_has_the_numbers_and_names_of_one_that_is_not(
    make: Callable[[], nn.Module], quick_compiler: dict[str, int]
) -> None:
    def run(**options: Any) -> tuple[nn.Module, History]:
        model = make()
        torch.manual_seed(1)
        optimizer = sgd(model, momentum=0.9)
        return model, fit(
            model, CLASSES, optimizer, batches(8, 8, 5), epochs=2, device=DEVICE,
            validation=batches(6), patience=9, **options,
        )  # fmt: skip

    (plain, ours), (compiled, theirs) = run(), run(compile=True)
    assert quick_compiler["unique_graphs"] >= 1, "something was compiled"
    assert_allclose(ours["train_loss"], theirs["train_loss"], rtol=1e-6)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert_allclose(vector(compiled), vector(plain), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("given", "mode"), [(True, None), ("max-autotune", "max-autotune")])
def test_a_string_is_the_mode(
    given: bool | str, mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[str | None] = []

    def note(network: nn.Module, *, mode: str | None) -> nn.Module:
        modes.append(mode)
        return network

    monkeypatch.setattr(torch, "compile", note)
    model = network()
    fit(model, CLASSES, sgd(model), batches(4), epochs=1, device=DEVICE, compile=given)
    assert modes == [mode]
