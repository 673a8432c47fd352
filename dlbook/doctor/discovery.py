"""Watching a program as it stands: its networks and optimizers are found as it uses them."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Self

from torch import nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from dlbook.doctor.findings import Report
from dlbook.doctor.watching import Watcher

__all__ = ["diagnose_script", "watch_everything"]


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
        self._inside: list[nn.Module] = []

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._attach(register_module_forward_pre_hook(self._enters))
        self._attach(register_module_forward_hook(self._leaves, always_call=True))
        self._attach(register_optimizer_step_pre_hook(self._steps))
        return super().__enter__()

    def _enters(self, module: nn.Module, _inputs: object) -> None:
        known = any(module is model for model in self.record.models.values())
        if not self._inside and not known and next(module.parameters(), None) is not None:
            self.add_model(str(len(self.record.models) or ""), module)
        self._inside.append(module)

    def _leaves(self, module: nn.Module, *_: object) -> None:
        while self._inside and self._inside.pop() is not module:
            pass

    def _steps(self, optimizer: Optimizer, *_: object) -> None:
        if not any(optimizer is known for known in self.record.optimizers):
            self.add_optimizer(optimizer)


def diagnose_script(
    path: str | Path, arguments: Sequence[str] = (), *, ignore: Collection[str] = ()
) -> Report:
    """Run a program as it stands, and say what is wrong with it.

    Parameters
    ----------
    path : str or Path
        The program.
    arguments : sequence of str, optional
        What it finds in ``sys.argv`` behind its name.
    ignore : collection of str, optional
        Codes of findings that are not to be reported.

    Returns
    -------
    Report
        The findings, also where the program raised.

    Raises
    ------
    FileNotFoundError
        If there is no such program.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no program {path}")
    argv, search = sys.argv, sys.path[:]
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(Path(path).resolve().parent))
    watcher: Any = watch_everything(ignore=ignore)
    try:
        with watcher:
            runpy.run_path(str(path), run_name="__main__")
    except (Exception, SystemExit):  # what it raised is in the record, and part of the report
        pass
    finally:
        sys.argv, sys.path[:] = argv, search
    report: Report = watcher.report()
    return report
