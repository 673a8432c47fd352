"""Trained networks from the hand-written half, and back to it: files of arrays without pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dlbook.arrays import State, check_state, read_arrays, write_arrays

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_arrays", "save_arrays"]


def save_arrays(model: nn.Module, path: str | Path) -> None:
    """Write what a network has learned to a file that the hand-written half reads.

    Parameters
    ----------
    model : nn.Module
        The network, on any device.
    path : str or Path
        The file to write, by custom ``*.npz``; its folder must exist. It is written in one piece
        or not at all.

    Raises
    ------
    TypeError
        If NumPy has no such numbers, as for bfloat16, or there is something else than tensors in
        the network's state; the message names it and says how to mend it.

    Notes
    -----
    The file holds parameters and buffers under the names that ``state_dict`` gives them. Where all
    of them stand in one ``nn.Sequential``, as in ``MLP`` and ``ConvNet``, they bear the names that
    they have in it: ``0.weight``, not ``layers.0.weight``. The same layers by hand, put into a
    ``dlbook.scratch.layers.Sequential`` and loaded with ``dlbook.scratch.load_state``, compute the
    same outputs.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from dlbook.pytorch import MLP
    >>> with TemporaryDirectory() as folder:
    ...     save_arrays(MLP([4, 2]), f"{folder}/model.npz")
    ...     sorted(np.load(f"{folder}/model.npz"))
    ['0.bias', '0.weight']
    """
    write_arrays(_arrays(_inner(model)), path)


def load_arrays(model: nn.Module, path: str | Path) -> None:
    """Read what a network has learned from a file that the hand-written half wrote.

    Parameters
    ----------
    model : nn.Module
        A network of the same layers, on any device, whose parameters and buffers take the numbers
        of the file.
    path : str or Path
        What ``dlbook.scratch.save_state`` or ``save_arrays`` wrote.

    Raises
    ------
    ValueError
        If the file is damaged, or arrays are missing, are too many, or have another shape or
        dtype; the message names all of them. Nothing has been changed then.
    TypeError
        As ``save_arrays``.
    FileNotFoundError
        If there is no such file.

    Notes
    -----
    The names are those that ``save_arrays`` writes.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from dlbook.pytorch import MLP
    >>> first, second = MLP([4, 2]), MLP([4, 2])
    >>> with TemporaryDirectory() as folder:
    ...     save_arrays(first, f"{folder}/model.npz")
    ...     load_arrays(second, f"{folder}/model.npz")
    >>> torch.equal(first(torch.ones(1, 4)), second(torch.ones(1, 4)))
    True
    """
    inner = _inner(model)
    state = read_arrays(path)
    try:
        check_state(state, _arrays(inner))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    inner.load_state_dict({name: torch.tensor(array) for name, array in state.items()})


def _inner(model: nn.Module) -> nn.Module:
    """Return the Sequential that holds all of a network's state, or else the network."""
    children = list(model.children())
    if isinstance(model, nn.Sequential) or len(children) != 1:
        return model
    only = children[0]
    holds_all = len(only.state_dict()) == len(model.state_dict())
    return only if isinstance(only, nn.Sequential) and holds_all else model


def _arrays(model: nn.Module) -> State:
    arrays = {}
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"expected {name} to be a tensor, got {type(tensor).__name__}")
        try:
            arrays[name] = tensor.numpy(force=True)
        except TypeError as error:
            raise TypeError(
                f"{name} is in {tensor.dtype}, which NumPy does not have: use model.float()"
            ) from error
    return arrays
