"""Watching a program as it stands: its networks and optimizers are found as it uses them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, Self

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from dlbook.doctor.tape import is_transformed
from dlbook.doctor.watching import Watcher

__all__ = ["watch_everything"]


class watch_everything(Watcher):  # noqa: N801  # read as the statement that it makes
    """Watch every network and optimizer that is used within.

    A network is a module that is called by no other module; an optimizer is found at its first
    step.

    Parameters
    ----------
    every : int, default 10
        After its first rounds, one round in so many is looked at closely.
    ignore : collection of str, optional
        Codes of findings that are not to be reported.

    Examples
    --------
    >>> import torch
    >>> with watch_everything() as w:
    ...     model = nn.Linear(2, 1)
    ...     optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ...     for _ in range(5):
    ...         loss = model(torch.ones(4, 2)).square().mean()
    ...         loss.backward()
    ...         optimizer.step()
    >>> [finding.code for finding in w.report().findings]
    ['gradients-not-cleared']
    """

    def __init__(self, *, every: int = 10, ignore: Collection[str] = ()) -> None:
        super().__init__(every, ignore)
        self._inside = 0

    def __enter__(self) -> Self:
        """Begin to watch."""
        if not self._entered:
            self._attach(register_optimizer_step_pre_hook(self._steps))
        return super().__enter__()

    def _watched_call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        watched = super()._watched_call(original)

        @wraps(original)
        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling():  # first of all: a compiler reads no further
                return original(module, *args, **kwargs)
            if self._inside:
                return watched(module, *args, **kwargs)
            if not self.paused and not is_transformed() and self._name_of(module) is None:
                self._meets(module)
            self._inside += 1
            try:
                return watched(module, *args, **kwargs)
            finally:
                self._inside -= 1

        return call

    def _meets(self, module: nn.Module) -> None:
        """Watch a network that is called by no other, if it is new and has parameters."""
        parameters = list(module.parameters())
        computed_again = torch._C._current_graph_task_id() != -1
        stand_ins = not all(isinstance(p, nn.Parameter) for p in parameters)  # functional_call
        if parameters and not stand_ins and not computed_again:
            self.add_model(str(len(self.record.models) or ""), module)

    def _steps(self, optimizer: Optimizer, *_: object) -> None:
        if not self.paused and not any(optimizer is known for known in self.record.optimizers):
            self.add_optimizer(optimizer)
