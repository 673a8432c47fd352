"""Which part of a batch is what: the network's inputs, and the targets of the loss."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dlbook.pytorch.devices import move

__all__ = ["Parts", "UndecidedError", "parts_of"]

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class UndecidedError(ValueError):
    """It cannot be known which part of a batch is what."""


class Parts(NamedTuple):
    """A batch as a training loop uses it.

    Parameters
    ----------
    args : tuple
        What the network is called with.
    kwargs : dict
        What it is called with by name.
    targets : tuple
        What the loss is called with behind the network's output.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    targets: tuple[Any, ...]

    def to(self, device: torch.device | None) -> Parts:
        """Return the parts on a device.

        Parameters
        ----------
        device : torch.device or None
            Where to; with None all stays where it is.

        Returns
        -------
        Parts
            A part that cannot be moved, such as a list of texts, is as it was.
        """
        if device is None:
            return self
        args = tuple(_moved(part, device) for part in self.args)
        kwargs = {name: _moved(part, device) for name, part in self.kwargs.items()}
        return Parts(args, kwargs, tuple(_moved(part, device) for part in self.targets))


class Takes(NamedTuple):
    """What a function takes.

    Parameters
    ----------
    least, most : float
        How many positional arguments.
    names : frozenset of str
        The arguments that can be given by name.
    needed : frozenset of str
        Those among them that must be given.
    """

    least: float
    most: float
    names: frozenset[str]
    needed: frozenset[str]


def parts_of(batch: Any, model: nn.Module, loss_fn: Callable[..., Tensor]) -> Parts:
    """Tell the inputs of a batch from its targets.

    A pair is (inputs, targets). A longer tuple is (inputs …, targets …) where network and loss need
    just that many. Of a mapping, what the network's ``forward`` takes by name are the inputs, and
    the one tensor that remains is the target. Inputs that are a tuple or a mapping themselves are
    given to the network one by one or by name if its ``forward`` takes them so.

    Parameters
    ----------
    batch : object
        What a loader yields.
    model : nn.Module
        The network.
    loss_fn : callable
        The loss.

    Returns
    -------
    Parts
        The parts.

    Raises
    ------
    UndecidedError
        If these rules do not tell; the message says what was asked for and what came.

    Examples
    --------
    >>> X, y = torch.zeros(2, 3), torch.zeros(2, 1)
    >>> parts = parts_of({"target": y, "input": X}, nn.Linear(3, 1), nn.MSELoss())
    >>> list(parts.kwargs), parts.targets[0] is y
    (['input'], True)
    """
    forward = _taken_by(model.forward)
    if isinstance(batch, Mapping):
        return _parts_of_mapping(batch, forward)
    if not isinstance(batch, tuple | list):
        raise UndecidedError(
            f"expected batches (inputs, targets) or mappings, got {type(batch).__name__}"
        )
    loss = _taken_by(loss_fn.forward if isinstance(loss_fn, nn.Module) else loss_fn)
    if len(batch) == 2 and (forward.least, loss.least, loss.most) != (2, 1, 1):
        args, kwargs = _inputs(batch[0], forward)
        return Parts(args, kwargs, (batch[1],))
    targets = loss.least - 1 if loss.least else 1
    if forward.least + targets != len(batch) or (not targets and loss.most > 1):
        raise UndecidedError(
            f"a batch has {len(batch)} parts, while the network needs {forward.least} and the loss "
            f"{targets} behind its output"
        )
    count = int(forward.least)
    return Parts(tuple(batch[:count]), {}, tuple(batch[count:]))


def _parts_of_mapping(batch: Mapping[Any, Any], forward: Takes) -> Parts:
    kwargs = {name: part for name, part in batch.items() if name in forward.names}
    rest = [name for name in batch if name not in kwargs]
    targets = [batch[name] for name in rest if isinstance(batch[name], Tensor)]
    if not kwargs or forward.needed - kwargs.keys() or len(targets) != 1:
        raise UndecidedError(
            f"of a batch with {_listed(batch)}, the network's forward takes {_listed(kwargs)} and "
            f"needs {_listed(forward.needed)}; expected one tensor to remain as the target, got "
            f"{len(targets)}"
        )
    return Parts((), kwargs, (targets[0],))


def _inputs(X: Any, forward: Takes) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Tell whether the network takes inputs as they are, one by one, or by name."""
    if isinstance(X, Mapping):
        if X.keys() <= forward.names and forward.needed <= X.keys():
            return (), dict(X)
        return (X,), {}
    if not isinstance(X, tuple | list) or hasattr(X, "_fields"):  # a packed sequence has fields
        return (X,), {}
    whole = forward.least <= 1 <= forward.most
    parted = forward.least <= len(X) <= forward.most
    if whole is parted:
        raise UndecidedError(
            f"inputs have {len(X)} parts, and the network's forward takes {forward.least:g} to "
            f"{forward.most:g} arguments"
        )
    return ((X,) if whole else tuple(X)), {}


def _taken_by(function: Callable[..., Any]) -> Takes:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a function of C or TorchScript
        return Takes(0, math.inf, frozenset(), frozenset())
    positional = [p for p in parameters if p.kind in POSITIONAL]
    named = [p for p in parameters if p.kind in POSITIONAL[1:] or p.kind is p.KEYWORD_ONLY]
    return Takes(
        sum(p.default is p.empty for p in positional),
        math.inf if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional),
        frozenset(p.name for p in named),
        frozenset(p.name for p in named if p.default is p.empty),
    )


def _listed(names: Any) -> str:
    return ", ".join(map(str, names)) or "nothing"


def _moved(part: Any, device: torch.device) -> Any:
    try:
        return move(part, device)
    except TypeError:  # not made of tensors alone
        return part
