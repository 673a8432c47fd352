"""The doctor's recorder stands in the way of no network and no optimizer, and comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Optimizer
from torch.overrides import _get_current_function_mode_stack

from dlbook.doctor import watch
from dlbook.doctor.discovery import watch_everything

X = torch.randn(8, 5, 16, generator=torch.Generator().manual_seed(0))
Y = torch.randn(8, 5, 16, generator=torch.Generator().manual_seed(1))
WAYS: dict[str, Callable[[nn.Module, Optimizer], Any]] = {
    "watch": watch,
    "watch_everything": lambda *_: watch_everything(),
}


def modes() -> list[Any]:
    """Return the modes that are on the stack."""
    stack: list[Any] = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    return stack


def backward(model: nn.Module) -> None:
    functional.mse_loss(model(X), Y).backward()  # type: ignore[no-untyped-call]


class Refuses(SGD):
    """Gradient descent that raises in its first step."""

    def step(self, closure: Any = None) -> Any:
        """Raise in the first step, and make no mode be seen in any."""
        assert not modes()
        if not self.state:
            self.state[self.param_groups[0]["params"][0]] = {"tried": True}
            raise RuntimeError("not yet")
        return super().step(closure)


class Attends(nn.Module):
    """Attention of a sequence to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, X: Tensor) -> Tensor:
        """Attend, and tell nobody the weights."""
        Z: Tensor = self.attention(X, X, X, need_weights=False)[0]
        return Z


def layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "attention": Attends,
    "layer": layer,
    "encoder": lambda: nn.TransformerEncoder(layer(), 2, enable_nested_tensor=False),
}


def network(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(NETWORKS[kind](), nn.Linear(16, 16))


def answers(model: nn.Module, *, by_parts: bool) -> Tensor:
    """Ask in evaluation mode without gradients, where PyTorch fuses what a layer computes."""
    model.eval()
    with torch.no_grad():
        Z: Tensor = model[1](model[0](X)) if by_parts else model(X)  # type: ignore[index]
    model.train()
    return Z


@pytest.mark.parametrize("by_parts", [False, True], ids=["whole", "by parts"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", NETWORKS)
def test_layers_that_are_fused_in_evaluation_stay_fused(
    kind: str, way: str, by_parts: bool
) -> None:
    model = network(kind)
    alone = answers(model, by_parts=by_parts)
    with WAYS[way](model, SGD(model.parameters(), 0.1)):
        assert modes(), "the recorder is there"
        watched = answers(model, by_parts=by_parts)
    assert torch.equal(alone, watched)


@pytest.mark.parametrize("way", WAYS)
def test_a_step_that_raises_ends_the_rest(way: str) -> None:
    torch.manual_seed(0)
    model = nn.Linear(16, 16)
    optimizer = Refuses(model.parameters(), 0.1)
    with WAYS[way](model, optimizer) as w:
        for _ in range(3):
            optimizer.zero_grad()
            backward(model)
            try:
                optimizer.step()
            except RuntimeError:
                continue
        assert len(modes()) == 1
    assert not modes()
    assert [tape.whole for tape in w.record.tapes] == [True, True, True]
    assert [tape.entries[-1].name for tape in w.record.tapes] == ["mse_loss"] * 3


@pytest.mark.parametrize("way", WAYS)
def test_what_raises_in_a_network_or_a_step_leaves_no_mode_behind(way: str) -> None:
    model = nn.Linear(16, 16)
    optimizer = Refuses(model.parameters(), 0.1)
    with WAYS[way](model, optimizer):
        recorder = modes()
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            model(X[..., :3])
        assert modes() == recorder
    backward(model)
    with pytest.raises(RuntimeError, match="not yet"), WAYS[way](model, optimizer):
        optimizer.step()
    assert not modes()


@pytest.mark.parametrize("outer", WAYS)
@pytest.mark.parametrize("inner", WAYS)
def test_two_recorders_come_back_in_their_old_order(outer: str, inner: str) -> None:
    model = nn.Linear(16, 16)
    optimizer = SGD(model.parameters(), 0.1)
    with WAYS[outer](model, optimizer), WAYS[inner](model, optimizer):
        before = modes()
        assert len(before) == 2
        for _ in range(3):
            optimizer.zero_grad()
            backward(model)
            optimizer.step()
            assert modes() == before
    assert not modes()
