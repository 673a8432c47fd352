"""Data larger than memory: read from shards on disk, a shard or two at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dlbook.data import Standardizer
from dlbook.pytorch.batches import Batches, shuffled
from dlbook.pytorch.data import Augment, Batch, Loader, augmented, batch_loader, check_options
from dlbook.pytorch.shard_files import read_index

__all__ = ["ShardBatches", "ShardDataset", "make_shard_loader"]

MAPPED = 2  # a batch reaches from one shard into the next


class ShardDataset(Dataset[Batch]):
    """The rows of a folder that ``write_shards`` wrote, at most two shards of them in memory.

    Parameters
    ----------
    folder : str or Path
        The folder.
    standardizer : Standardizer, optional
        Fitted on the training part, or on a sample of it; shifts and scales the columns of each
        batch.
    augment : callable, optional
        ``augment(X, generator)`` returns a changed batch, as in ``ArrayDataset``.

    Attributes
    ----------
    sizes : list of int
        Rows of each shard.

    Raises
    ------
    ValueError
        If the folder was not written to its end, is damaged or is no folder of shards, or a shard
        is missing or cut short; the message says what is wrong.

    Notes
    -----
    A shard is mapped into memory when a row of it is asked for, and the system reads from disk
    what is used. Its checksum is compared once in each process, at that moment: a damaged shard
    is refused before one of its rows is learned from.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from dlbook.pytorch import write_shards
    >>> with TemporaryDirectory() as folder:
    ...     X, y = np.arange(6.0).reshape(3, 2), np.arange(3)
    ...     rows = write_shards(folder, [(X, y)], rows_per_shard=2)
    ...     X, y = ShardDataset(folder).batch([2, 0])
    >>> X.tolist(), y.tolist()
    ([[4.0, 5.0], [0.0, 1.0]], [2, 0])
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        standardizer: Standardizer | None = None,
        augment: Augment | None = None,
    ) -> None:
        self.folder = Path(folder).resolve()
        self.standardizer = standardizer
        self.augment = augment
        self._shards = read_index(self.folder)
        for file in (file for shard in self._shards for file in shard):
            file.check_size(self.folder)
        self.sizes = [X.shape[0] for X, _ in self._shards]
        self._ends = np.cumsum(self.sizes)  # the row after the last of each shard
        self._checked: set[int] = set()
        self._mapped: dict[int, list[NDArray[Any]]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, i: int) -> Batch:
        X, y = self.batch([i])
        return X[0], y[0]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mapped shards behind: a worker maps its own."""
        return self.__dict__ | {"_mapped": {}}

    def batch(self, rows: Sequence[int]) -> Batch:
        """Read a batch.

        Parameters
        ----------
        rows : sequence of int
            Row numbers; those of a ``Batches`` carry the seed of the augmentation.

        Returns
        -------
        tuple of Tensor
            ``X`` and ``y``, one row for each number.

        Raises
        ------
        IndexError
            If there is no such row; the message gives it.
        ValueError
            If a shard is damaged, missing or foreign; the message says which, and what is wrong.
        """
        index = np.array(rows, dtype=np.int64)  # (m,)
        outside = index[(index < 0) | (index >= len(self))]
        if len(outside):
            raise IndexError(f"expected rows from 0 to {len(self) - 1}, got {outside[0]}")
        X, y = (np.empty((len(index), *f.shape[1:]), f.dtype) for f in self._shards[0])
        shard = np.searchsorted(self._ends, index, side="right")  # (m,)
        for number in dict.fromkeys(shard.tolist()):
            here = shard == number  # (m,)
            local = index[here] - (self._ends[number] - self.sizes[number])
            X_shard, y_shard = self._map(number)
            X[here], y[here] = X_shard[local], y_shard[local]
        if self.standardizer is not None:
            X = self.standardizer.transform(X)
        return augmented(torch.from_numpy(X), rows, self.augment), torch.from_numpy(y)

    def check(self) -> None:
        """Compare every shard with its checksum, now rather than when it is used.

        Raises
        ------
        ValueError
            If a shard is damaged or missing; the message says which, and what is wrong.
        """
        for number, shard in enumerate(self._shards):
            for file in shard:
                file.check_content(self.folder)
            self._checked.add(number)

    def _map(self, number: int) -> list[NDArray[Any]]:
        """Map a shard, and let go of the one that was not used for longest."""
        arrays = self._mapped.pop(number, None)
        if arrays is None:
            if number not in self._checked:
                for file in self._shards[number]:
                    file.check_content(self.folder)
                self._checked.add(number)
            while len(self._mapped) >= MAPPED:
                del self._mapped[next(iter(self._mapped))]
            arrays = [file.mapped(self.folder) for file in self._shards[number]]
        self._mapped[number] = arrays
        return arrays


class ShardBatches(Batches):
    """The batches of every epoch, so ordered that rows of a shard come together.

    An epoch takes the shards in a random order and the rows within each in a random order, all
    known from the seed and the epoch's number. So a shard is read once an epoch, and the order is
    never held as a whole. Rows of one shard remain neighbors in every epoch: they must not be
    alike, as they are in data sorted by class.

    Parameters
    ----------
    sizes : sequence of int
        Rows of each shard.
    batch_size : int
        As in ``Batches``, and so are the rest. A batch may reach from one shard into the next.
    generator : torch.Generator, optional
        Draws the seed, once and now. Without it the rows come in order in every epoch.
    drop_last : bool, default False
        Leave out a last batch that is smaller.

    Raises
    ------
    ValueError
        As in ``Batches``.

    Examples
    --------
    >>> batches = ShardBatches([3, 3], 2, generator=torch.Generator().manual_seed(1))
    >>> [[row // 3 for row in rows] for rows in batches]
    [[1, 1], [1, 0], [0, 0]]
    """

    def __init__(
        self,
        sizes: Sequence[int],
        batch_size: int,
        *,
        generator: torch.Generator | None = None,
        drop_last: bool = False,
    ) -> None:
        self.sizes = list(sizes)
        super().__init__(sum(sizes), batch_size, generator=generator, drop_last=drop_last)

    def global_batches(
        self, epoch: int, position: int = 0, device: torch.device | str = "cpu"
    ) -> Iterator[Tensor]:
        """Yield the batches of an epoch as all processes together see them.

        Parameters
        ----------
        epoch : int
            The epoch, counted from 0.
        position : int, default 0
            The first batch to yield, counted from 0.
        device : torch.device or str, default "cpu"
            Where the row numbers are to be.

        Yields
        ------
        Tensor of shape (batch_size,)
            Row numbers, int64; the last may be shorter.
        """
        size = self.batch_size
        rows = torch.empty(0, dtype=torch.int64, device=device)
        for run in self._runs(epoch, skip=position * size):
            rows = torch.cat([rows, run.to(device)])
            while len(rows) >= size:
                yield rows[:size]
                rows = rows[size:]
        if len(rows) and not self.drop_last:
            yield rows

    def order(self, epoch: int) -> Tensor:
        """Return the order in which an epoch shows the rows.

        Parameters
        ----------
        epoch : int
            The epoch, counted from 0.

        Returns
        -------
        Tensor of shape (n,)
            Row numbers, int64, on the CPU.
        """
        return torch.cat(list(self._runs(epoch, skip=0)))

    def state_dict(self) -> dict[str, Any]:
        """Return what fixes the order of every epoch.

        Returns
        -------
        dict of str to object
            As in ``Batches``, and ``sizes``.
        """
        return super().state_dict() | {"sizes": self.sizes}

    def _runs(self, epoch: int, skip: int) -> Iterator[Tensor]:
        """Yield the rows of one shard after the other, less the first ``skip`` of the epoch."""
        starts = np.cumsum([0, *self.sizes])
        for shard in shuffled(len(self.sizes), self.seed, epoch).tolist():
            if skip < self.sizes[shard]:
                rows = shuffled(self.sizes[shard], self.seed, epoch, shard)
                yield rows[skip:] + starts[shard]
            skip = max(0, skip - self.sizes[shard])


def make_shard_loader(
    folder: str | Path,
    *,
    batch_size: int,
    generator: torch.Generator | None = None,
    workers: int = 0,
    standardizer: Standardizer | None = None,
    augment: Augment | None = None,
    drop_last: bool = False,
    pin_memory: bool = False,
) -> Loader:
    """Make a loader that streams the rows of a folder of shards.

    Memory holds two shards for each process that reads, and the batches: the same for any number
    of shards.

    Parameters
    ----------
    folder : str or Path
        A folder that ``write_shards`` wrote.
    batch_size : int
        As in ``make_loader``, and so are the rest.
    generator : torch.Generator, optional
        Shuffles the shards, and the rows in each. Without it they come in order.
    workers : int, default 0
        Processes that prepare batches, each with shards of its own in memory.
    standardizer : Standardizer, optional
        Fitted on the training part, or on a sample of it; shifts and scales columns.
    augment : callable, optional
        ``augment(X, generator)`` returns a changed batch; needs ``generator``.
    drop_last : bool, default False
        Leave out a last batch that is smaller.
    pin_memory : bool, default False
        Put batches where a GPU can fetch them while it computes.

    Returns
    -------
    DataLoader
        Yields pairs of tensors, on the CPU.

    Raises
    ------
    ValueError
        As in ``make_loader`` and ``ShardDataset``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from dlbook.pytorch import write_shards
    >>> with TemporaryDirectory() as folder:
    ...     X, y = np.zeros((5, 2)), np.arange(5)
    ...     rows = write_shards(folder, [(X, y)], rows_per_shard=3)
    ...     [y.tolist() for X, y in make_shard_loader(folder, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """
    check_options(generator, augment=augment, workers=workers)
    dataset = ShardDataset(folder, standardizer=standardizer, augment=augment)
    batches = ShardBatches(dataset.sizes, batch_size, generator=generator, drop_last=drop_last)
    return batch_loader(dataset, dataset.batch, batches, workers=workers, pin_memory=pin_memory)
