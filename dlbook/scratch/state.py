"""What a network has learned, by PyTorch's names and in its layout, in memory and in files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlbook.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["State", "Stateful", "check_state", "load_state", "save_state"]

State = dict[str, NDArray[Any]]


class Stateful(Protocol):
    """What has a state that can be saved: every layer of this package."""

    def state_dict(self) -> State:
        """Return copies of all arrays, by name."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the numbers of all arrays, by name."""


def check_state(state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> State:
    """Refuse a state that does not have exactly the arrays of a network; return it as arrays.

    Parameters
    ----------
    state : mapping of str to array
        The arrays by name; tensors of PyTorch on the CPU count as arrays.
    tensors : mapping of str to ndarray
        The network's own arrays by name.

    Returns
    -------
    dict of str to ndarray
        The state.

    Raises
    ------
    TypeError
        If ``state`` is not a mapping; the message gives what it is.
    ValueError
        If arrays are missing, are too many, or have another shape or dtype; the message names all
        of them.

    Examples
    --------
    >>> check_state({"bias": np.zeros(3)}, {"weight": np.zeros((2, 3)), "bias": np.zeros(2)})
    Traceback (most recent call last):
    ValueError: the state does not fit: weight is missing; expected bias of shape (2,), got (3,)
    """
    if not isinstance(state, Mapping):
        raise TypeError(
            f"expected the state as a dict of arrays by name, got {type(state).__name__}"
        )
    arrays = {name: np.asarray(array) for name, array in state.items()}
    problems = [f"{name} is missing" for name in tensors if name not in arrays]
    problems += [f"{name} is not of this network" for name in arrays if name not in tensors]
    for name, own in tensors.items():
        if name not in arrays:
            continue
        array = arrays[name]
        if array.shape != own.shape:
            problems.append(f"expected {name} of shape {own.shape}, got {array.shape}")
        elif array.dtype != own.dtype:
            problems.append(f"expected {name} in {own.dtype}, got {array.dtype}")
    if problems:
        raise ValueError(f"the state does not fit: {'; '.join(problems)}")
    return arrays


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
    >>> from tempfile import TemporaryDirectory
    >>> from dlbook.scratch.layers import mlp
    >>> with TemporaryDirectory() as folder:
    ...     save_state(mlp([4, 2], rng=np.random.default_rng(0)), f"{folder}/model.npz")
    ...     sorted(np.load(f"{folder}/model.npz"))
    ['0.bias', '0.weight']
    """
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **model.state_dict())
    write_atomically(path, content.getvalue())


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
    from pathlib import Path  # here, so that importing the package does not wait for it

    state = _read(Path(path).read_bytes(), path)
    try:
        model.load_state_dict(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(content: bytes, path: str | Path) -> State:
    """Read all arrays of a file, whatever may be wrong with it."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: np.asarray(arrays[name]) for name in arrays.files}
    except Exception as error:  # zipfile and NumPy raise a dozen kinds on damaged files
        raise ValueError(f"{path} is damaged or not an .npz file of arrays: {error}") from error
