"""Letting copies of networks call another function in place of one of PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from dlbook.doctor.experiments import Trial
from dlbook.doctor.graphs import SHAPING, graph_of

__all__ = ["replace_calls"]


def replace_calls(
    trial: Trial, names: tuple[str, ...], function: Callable[..., Any], *, keep_last: bool = False
) -> None:
    """Let the networks of a trial call another function.

    Parameters
    ----------
    trial : Trial
        Its networks are changed.
    names : tuple of str
        The functions that are replaced wherever a network calls them: ``"tanh"``.
    function : callable
        Takes what these took as their first argument.
    keep_last : bool, default False
        Whether the last of them stays where it makes what the network gives out.
    """
    for model in trial.models.values():
        _replace(model, names, function, keep_last)


def _replace(
    model: nn.Module, names: tuple[str, ...], function: Callable[..., Any], keep_last: bool
) -> None:
    original: Any = model.forward
    kept: list[int] = []

    def forward(*args: Any, **kwargs: Any) -> Any:
        if keep_last and not kept:
            with _Instead(names, None) as counting:
                result = original(*args, **kwargs)
            kept.append(counting.calls - 1 if _made_by(result, names) else -1)
        with _Instead(names, function, kept[0] if kept else -1):
            return original(*args, **kwargs)

    model.forward = forward


def _made_by(result: Any, names: tuple[str, ...]) -> bool:
    """Tell whether an operation of one of these names made a tensor, changes of shape aside."""
    if getattr(result, "grad_fn", None) is None:
        return False
    node = graph_of(result).nodes[0]
    while node.kind in SHAPING and node.inputs:
        node = node.inputs[0]
    return node.kind.lower() in names


class _Instead(TorchFunctionMode):
    """Calls one function in place of others, but for the call of a given number."""

    def __init__(
        self, names: tuple[str, ...], function: Callable[..., Any] | None, kept: int = -1
    ) -> None:
        super().__init__()
        self.names, self.function, self.kept, self.calls = names, function, kept, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, or what stands in for it."""
        if getattr(func, "__name__", "") not in self.names:
            return func(*args, **(kwargs or {}))
        number, self.calls = self.calls, self.calls + 1
        if self.function is None or number == self.kept:
            return func(*args, **(kwargs or {}))
        return self.function(args[0] if args else (kwargs or {})["input"])
