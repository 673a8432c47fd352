"""Data that stay on the device: batches without a copy from the host at every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dlbook.data import Standardizer
from dlbook.pytorch.batches import Batches, Rows
from dlbook.pytorch.data import ArrayDataset, Augment, Batch, augmented, check_options
from dlbook.pytorch.devices import best_device

__all__ = ["DeviceBatches"]


class DeviceBatches:
    """Minibatches of an array's rows, gathered on the device where all of the data are.

    A loader copies each batch from the host to the device; here the whole data are copied once,
    and a batch is one index operation on the device. It stands wherever a loader does.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n, ...)
        Examples. They are copied: changing the array later changes nothing here.
    y : ndarray or Tensor of shape (n, ...)
        Class ids or targets, copied too.
    batch_size : int
        Examples a batch; the last batch is smaller where this does not divide n.
    device : str or torch.device, optional
        As in ``best_device``.
    generator : torch.Generator, optional
        Shuffles the rows, anew for each epoch, by a seed drawn from it now. Without it they come
        in order.
    standardizer : Standardizer, optional
        Fitted on the training part only; shifts and scales the columns of ``X``.
    augment : callable, optional
        ``augment(X, generator)`` returns a changed batch; needs ``generator``. It is given a batch
        on the device and a generator on the CPU, whose draws are the same for every device.
    drop_last : bool, default False
        Leave out a last batch that is smaller.

    Attributes
    ----------
    X : Tensor of shape (n, ...)
        Examples, on the device.
    y : Tensor of shape (n, ...)
        Class ids or targets, on the device.
    batch_sampler : Batches
        The order, as that of a loader.

    Raises
    ------
    ValueError
        As in ``make_loader``, and if the device is not there.

    Notes
    -----
    The batches are those of ``make_loader`` for a generator with the same seed, bit for bit.
    The data take their whole size in the device's memory.

    Examples
    --------
    >>> import numpy as np
    >>> batches = DeviceBatches(np.zeros((5, 2)), np.arange(5), batch_size=2, device="cpu")
    >>> [y.tolist() for X, y in batches]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        X: NDArray[Any] | Tensor,
        y: NDArray[Any] | Tensor,
        batch_size: int,
        *,
        device: str | torch.device | None = None,
        generator: torch.Generator | None = None,
        standardizer: Standardizer | None = None,
        augment: Augment | None = None,
        drop_last: bool = False,
    ) -> None:
        check_options(generator, augment=augment)
        self.device = best_device(device)
        dataset = ArrayDataset(X, y, standardizer=standardizer)
        self.batch_sampler = Batches(
            len(dataset), batch_size, generator=generator, drop_last=drop_last
        )
        self.X = dataset.X.to(self.device)
        self.y = dataset.y.to(self.device)
        self.augment = augment

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the sampler's present epoch, on the device."""
        for index, key in self.batch_sampler.shares(self.device):
            X, y = self.X.index_select(0, index), self.y.index_select(0, index)
            yield augmented(X, Rows(key=key), self.augment), y
