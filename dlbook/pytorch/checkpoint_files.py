"""The file of a checkpoint: whole, unchanged and of plain values, or refused."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlbook import __version__
from dlbook.files import write_atomically

__all__ = ["CheckpointError", "read_checkpoint"]

FORMAT = "dlbook.checkpoint"
VERSION = 1
CONTENT = ("format", "version", "dlbook", "torch", "best", "run")
SEAL = b"dlbook.checkpoint sha256 "
SEAL_LENGTH = len(SEAL) + 2 * hashlib.sha256().digest_size
PLAIN = (type(None), bool, int, float, str, bytes, Tensor, torch.Size, torch.dtype, torch.device)


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, written, or gone on with; the message says why."""


def write_checkpoint(path: str | Path, run: dict[str, Any], best: dict[str, Any]) -> None:
    """Write a checkpoint, in one piece or not at all, and wait until the disk has it.

    Parameters
    ----------
    path : str or Path
        The file to write; its folder must exist.
    run : dict of str to object
        The state of the run.
    best : dict of str to object
        File and loss of the best checkpoint so far.

    Raises
    ------
    CheckpointError
        If ``read_checkpoint`` would refuse what is in ``run``; the message says where it is.
    OSError
        If it cannot be written.
    """
    check_plain(run, "the run")
    content = {
        "format": FORMAT,
        "version": VERSION,
        "dlbook": __version__,
        "torch": str(torch.__version__),
        "best": best,
        "run": run,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    buffer.write(_seal(buffer.getbuffer()))
    write_atomically(path, buffer.getbuffer(), durably=True)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint, if it is whole and holds nothing but plain values.

    Parameters
    ----------
    path : str or Path
        A file that ``Checkpoints`` wrote.

    Returns
    -------
    dict of str to object
        ``run``, the state of the run, with tensors on the CPU; ``best``, file and loss of the best
        checkpoint so far; ``dlbook`` and ``torch``, the versions that wrote it.

    Raises
    ------
    CheckpointError
        If it is missing, cut short, changed, not a checkpoint, of another version, or carries
        code; the message says which.

    Notes
    -----
    A checkpoint is a file of ``torch.save``, and ``torch.load`` reads it too. Behind it stands
    the SHA-256 digest of all bytes before, which finds every accidental change. It does not tell
    who wrote the file: that is what ``weights_only=True`` is for.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not data:
        raise CheckpointError(f"{path} is empty")
    seal = data[-SEAL_LENGTH:]
    if not seal.startswith(SEAL):
        raise CheckpointError(f"{path} is cut short, or no checkpoint of dlbook")
    if seal != _seal(data[:-SEAL_LENGTH]):
        raise CheckpointError(f"{path} is damaged: its bytes are not those that were written")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} carries code, and was not run: {_first_line(error)}"
        ) from error
    except Exception as error:  # what torch.load raises on foreign files has no common class
        raise CheckpointError(f"{path} cannot be read: {_first_line(error)}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no checkpoint of dlbook")
    if content.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has version {content.get('version')!r} of the format, expected {VERSION}"
        )
    if content.keys() != set(CONTENT):
        raise CheckpointError(f"{path} holds {', '.join(content)}, expected {', '.join(CONTENT)}")
    return content


def check_plain(value: Any, place: str) -> None:
    """Refuse what ``torch.load`` would not read again with ``weights_only=True``.

    Parameters
    ----------
    value : object
        What is to be kept.
    place : str
        How to call it in the message.

    Raises
    ------
    CheckpointError
        If there is something else in it than dicts, lists, tuples and sets of tensors, numbers,
        text and None; the message says what, and where.

    Examples
    --------
    >>> check_plain({"rate": 0.1, "step": lambda: 0}, "the schedule")
    Traceback (most recent call last):
    dlbook.pytorch.checkpoint_files.CheckpointError: expected plain values, got function in ...
    """
    if type(value) in (dict, OrderedDict, Counter):
        for key, part in value.items():
            check_plain(key, f"a key of {place}")
            check_plain(part, f"{place}, {key}")
    elif type(value) in (list, tuple, set):
        for number, part in enumerate(value):
            check_plain(part, f"{place}, {number}")
    elif type(value) not in PLAIN:
        raise CheckpointError(
            f"expected plain values, got {type(value).__name__} in {place}: a checkpoint would be "
            "refused when it is read"
        )


def _seal(data: bytes | memoryview) -> bytes:
    return SEAL + hashlib.sha256(data).hexdigest().encode()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
