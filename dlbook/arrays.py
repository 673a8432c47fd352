"""Named arrays in ``.npz`` files: how both halves keep what a network has learned."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlbook.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["State", "check_state", "read_arrays", "write_arrays"]

State = dict[str, NDArray[Any]]


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


def write_arrays(arrays: Mapping[str, NDArray[Any]], path: str | Path) -> None:
    """Write arrays to an ``.npz`` file, in one piece or not at all.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The arrays by name.
    path : str or Path
        The file to write; its folder must exist.

    Raises
    ------
    ValueError
        If an array holds Python objects, which only pickle could write.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_arrays({"bias": np.zeros(2)}, f"{folder}/model.npz")
    ...     read_arrays(f"{folder}/model.npz")
    {'bias': array([0., 0.])}
    """
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write_atomically(path, content.getvalue())


def read_arrays(path: str | Path) -> State:
    """Read all arrays of an ``.npz`` file, without pickle: opening it cannot run foreign code.

    Parameters
    ----------
    path : str or Path
        A file that ``write_arrays`` or ``np.savez`` wrote.

    Returns
    -------
    dict of str to ndarray
        The arrays by name.

    Raises
    ------
    ValueError
        If the file is damaged, is no ``.npz`` file, or holds Python objects; the message says what
        is wrong.
    FileNotFoundError
        If there is no such file.
    """
    from pathlib import Path  # here, so that importing the package does not wait for it

    content = io.BytesIO(Path(path).read_bytes())
    try:
        with np.load(content, allow_pickle=False) as arrays:
            return {name: np.asarray(arrays[name]) for name in arrays.files}
    except Exception as error:  # zipfile and NumPy raise a dozen kinds on damaged files
        raise ValueError(f"{path} is damaged or not an .npz file of arrays: {error}") from error
