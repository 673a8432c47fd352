"""What a network has learned, by PyTorch's names and in its layout, in memory and in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from dlbook.arrays import State, check_state, read_arrays, write_arrays

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["State", "Stateful", "check_state", "load_state", "save_state"]


class Stateful(Protocol):
    """What has a state that can be saved: every layer of this package."""

    def state_dict(self) -> State:
        """Return copies of all arrays, by name."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the numbers of all arrays, by name."""


def save_state(model: Stateful, path: str | Path) -> None:
    """Write what a network has learned to a file, in one piece or not at all.

    Parameters
    ----------
    model : Layer
        The network.
    path : str or Path
        The file to write, by custom ``*.npz``; its folder must exist.

    Notes
    -----
    An ``.npz`` file holds the arrays of ``model.state_dict()`` by name, without pickle, so that
    opening it cannot run foreign code. The same network in PyTorch reads it with
    ``net.load_state_dict({k: torch.tensor(v) for k, v in np.load(path).items()})``.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from dlbook.scratch.layers import mlp
    >>> with TemporaryDirectory() as folder:
    ...     save_state(mlp([4, 2], rng=np.random.default_rng(0)), f"{folder}/model.npz")
    ...     sorted(np.load(f"{folder}/model.npz"))
    ['0.bias', '0.weight']
    """
    write_arrays(model.state_dict(), path)


def load_state(model: Stateful, path: str | Path) -> None:
    """Read from a file what a network has learned; the network must be of the same layers.

    Parameters
    ----------
    model : Layer
        The network, whose arrays take the numbers of the file.
    path : str or Path
        A file that ``save_state`` wrote, or ``np.savez`` from a ``state_dict`` of PyTorch.

    Raises
    ------
    ValueError
        If the file is damaged, is no ``.npz`` file, or does not fit the network; the message says
        what is wrong. Nothing has been changed then.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from dlbook.scratch.layers import mlp
    >>> rng = np.random.default_rng(0)
    >>> first, second = mlp([4, 2], rng=rng), mlp([4, 2], rng=rng)
    >>> with TemporaryDirectory() as folder:
    ...     save_state(first, f"{folder}/model.npz")
    ...     load_state(second, f"{folder}/model.npz")
    >>> np.array_equal(first.parameters[0], second.parameters[0])
    True
    """
    state = read_arrays(path)
    try:
        model.load_state_dict(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
