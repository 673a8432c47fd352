"""How shards lie on disk: two ``.npy`` files for each, and an index with sizes and checksums."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dlbook.files import write_atomically

__all__ = ["write_shards"]

INDEX = "index.json"
FORMAT = "dlbook.shards"
VERSION = 1


@dataclass(frozen=True)
class ShardFile:
    """One ``.npy`` file: an array's rows in one shard."""

    name: str
    dtype: str
    shape: list[int]
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        texts, counts = (self.name, self.dtype, self.sha256), (self.bytes, *self.shape)
        if not (
            all(isinstance(text, str) for text in texts)
            and all(isinstance(count, int) and count > 0 for count in counts)
            and len(counts) > 1
        ):
            raise ValueError(f"expected names and counts, got {self}")

    def check_size(self, folder: Path) -> None:
        path = folder / self.name
        if not path.is_file():
            raise ValueError(f"{path} is missing: {INDEX} lists it")
        size = path.stat().st_size
        if size != self.bytes:
            raise ValueError(f"{path} is damaged: expected {self.bytes} bytes, got {size}")

    def check_content(self, folder: Path) -> None:
        self.check_size(folder)
        path = folder / self.name
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise ValueError(f"{path} is damaged: its content is not what was written")

    def mapped(self, folder: Path) -> NDArray[Any]:
        array: NDArray[Any] = np.load(folder / self.name, mmap_mode="r", allow_pickle=False)
        if array.dtype.str != self.dtype or list(array.shape) != self.shape:
            raise ValueError(
                f"{folder / self.name} is not the one of {INDEX}: expected {self.dtype} "
                f"of shape {self.shape}, got {array.dtype.str} of shape {list(array.shape)}"
            )
        return array


def write_shards(
    folder: str | Path,
    pieces: Iterable[tuple[NDArray[Any], NDArray[Any]]],
    *,
    rows_per_shard: int,
) -> int:
    """Write examples that come piece by piece into a folder, one shard in memory at a time.

    Parameters
    ----------
    folder : str or Path
        A folder that is not there yet, or is empty; what it is to stand in must exist.
    pieces : iterable of pairs of ndarray
        ``(X, y)``, of shapes (m, ...) and (m, ...): any number of rows, otherwise the same shape
        and dtype in each piece.
    rows_per_shard : int
        Rows a shard; the last one has the rest. Up to two shards are read into memory at a time,
        and rows are shuffled within a shard: a hundred batches a shard is a good size.

    Returns
    -------
    int
        The number of rows that were written.

    Raises
    ------
    ValueError
        If the folder holds anything, ``rows_per_shard`` is below 1, a piece has another form than
        the first or ``X`` and ``y`` of it differ in length, or there are no rows; the message says
        which. What was written by then is deleted.
    TypeError
        If the arrays hold what no tensor can hold.

    Notes
    -----
    A shard is two ``.npy`` files, as ``np.save`` writes them. The list of them, with their sizes
    and checksums, is written last: a folder without it was not finished, and is refused.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> pieces = ((np.full((4, 2), i, "float32"), np.full(4, i)) for i in range(3))
    >>> with TemporaryDirectory() as folder:
    ...     write_shards(folder, pieces, rows_per_shard=5)
    12
    """
    if rows_per_shard < 1:
        raise ValueError(f"expected at least one row a shard, got {rows_per_shard}")
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not an empty folder: choose another, or delete it")
    folder.mkdir(exist_ok=True)
    shards: list[list[ShardFile]] = []
    try:
        for number, arrays in enumerate(_regrouped(pieces, rows_per_shard)):
            shards.append([])
            for name, array in zip(_names(number), arrays, strict=True):
                shards[-1].append(_write(folder, name, array))
        if not shards:
            raise ValueError("expected at least one row, got none")
        content = {
            "format": FORMAT,
            "version": VERSION,
            "shards": [[asdict(file) for file in shard] for shard in shards],
        }
        write_atomically(folder / INDEX, json.dumps(content, indent=1) + "\n")
    except BaseException:
        for file in (file for shard in shards for file in shard):
            (folder / file.name).unlink(missing_ok=True)
        raise
    return sum(X.shape[0] for X, _ in shards)


def read_index(folder: Path) -> list[list[ShardFile]]:
    """Return the two files of each shard, as the folder's index lists them."""
    path = folder / INDEX
    if not path.is_file():
        raise ValueError(
            f"{folder} has no {INDEX}: it is no folder of shards, or writing it was not finished"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise ValueError(f'expected "format": "{FORMAT}", "version": {VERSION}')
        shards = [[ShardFile(**file) for file in shard] for shard in content["shards"]]
        _check_shards(shards)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no index of shards: {error!r}") from error
    return shards


def _check_shards(shards: list[list[ShardFile]]) -> None:
    """Refuse shards that are not of one kind, each an X and a y of as many rows."""
    if not shards:
        raise ValueError("expected at least one shard")
    forms = [[(file.dtype, file.shape[1:]) for file in shard] for shard in shards]
    for number, (shard, form) in enumerate(zip(shards, forms, strict=True)):
        names, rows = [file.name for file in shard], {file.shape[0] for file in shard}
        if names != _names(number) or len(rows) != 1 or form != forms[0]:
            raise ValueError(f"shard {number} is not like the first: {shard}")


def _names(number: int) -> list[str]:
    return [f"{number:06d}.X.npy", f"{number:06d}.y.npy"]


def _write(folder: Path, name: str, array: NDArray[Any]) -> ShardFile:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    content = stream.getvalue()
    write_atomically(folder / name, content)
    sha256 = hashlib.sha256(content).hexdigest()
    return ShardFile(name, array.dtype.str, list(array.shape), len(content), sha256)


def _regrouped(
    pieces: Iterable[tuple[NDArray[Any], NDArray[Any]]], rows: int
) -> Iterator[list[NDArray[Any]]]:
    """Yield X and y with ``rows`` rows each, and at last with the rest: always the same buffers."""
    buffers: list[NDArray[Any]] = []
    filled = 0
    for number, piece in enumerate(pieces):
        arrays = [np.asarray(array) for array in piece]
        _check_piece(number, arrays, buffers)
        buffers = buffers or [np.empty((rows, *a.shape[1:]), a.dtype) for a in arrays]
        start = 0
        while start < len(arrays[0]):
            count = min(rows - filled, len(arrays[0]) - start)
            for buffer, array in zip(buffers, arrays, strict=True):
                buffer[filled : filled + count] = array[start : start + count]
            start, filled = start + count, filled + count
            if filled == rows:
                yield buffers
                filled = 0
    if filled:
        yield [buffer[:filled] for buffer in buffers]


def _check_piece(number: int, arrays: list[NDArray[Any]], buffers: list[NDArray[Any]]) -> None:
    """Refuse a piece that is no X and y, and one that is unlike those before it."""
    forms = [(array.dtype.str, array.shape[1:]) for array in arrays]
    if len(arrays) != 2 or not arrays[0].shape[:1] == arrays[1].shape[:1] != ():
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"expected X and y of as many rows in piece {number}, got {shapes}")
    if any(0 in shape for _, shape in forms):
        raise ValueError(f"expected rows that hold numbers in piece {number}, got {forms}")
    first = [(buffer.dtype.str, buffer.shape[1:]) for buffer in buffers] or forms
    if forms != first:
        raise ValueError(f"expected {first} as in the first piece, got {forms} in piece {number}")
    for array in arrays:
        torch.from_numpy(np.empty(0, array.dtype))  # says which dtypes a tensor can hold
