"""From arrays to the batches that a PyTorch loop reads."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from dlbook.data import Standardizer
from dlbook.pytorch.batches import Batches, Rows

__all__ = [
    "ArrayDataset",
    "Augment",
    "Batch",
    "Examples",
    "Loader",
    "loader_of",
    "make_loader",
    "sampler_of",
]

Batch = tuple[Tensor, ...]
Loader = DataLoader[Batch]
Augment = Callable[[Tensor, torch.Generator], Tensor]


class Examples(Protocol):
    """Numbered examples: a map-style dataset of PyTorch's, a list, and much else."""

    def __len__(self) -> int: ...
    def __getitem__(self, i: int, /) -> Any: ...


class ArrayDataset(Dataset[Batch]):
    """The rows of two arrays, read a batch at a time.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n, ...)
        Examples. They are copied: changing the array later changes nothing here.
    y : ndarray or Tensor of shape (n, ...)
        Class ids or targets, copied too.
    standardizer : Standardizer, optional
        Fitted on the training part only; shifts and scales the columns of ``X`` once, now.
    augment : callable, optional
        ``augment(X, generator)`` returns a changed batch, as the functions of
        ``dlbook.pytorch.augmentation`` do. It is applied to batches that a shuffling ``Batches``
        numbers, and to no others: an example read by itself comes as it is.

    Raises
    ------
    ValueError
        If ``X`` and ``y`` differ in length or are empty, or the standardizer was not fitted or
        knows other columns; the message gives the numbers.

    Notes
    -----
    A ``DataLoader`` that knows nothing more reads a dataset row by row and stacks the rows. The
    loaders of ``make_loader`` read a batch by one index operation.

    Examples
    --------
    >>> import numpy as np
    >>> dataset = ArrayDataset(np.array([[0.5], [1.5], [2.5]]), np.array([0, 1, 0]))
    >>> X, y = dataset.batch([2, 0])
    >>> X.tolist(), y.tolist()
    ([[2.5], [0.5]], [0, 0])
    """

    def __init__(
        self,
        X: NDArray[Any] | Tensor,
        y: NDArray[Any] | Tensor,
        *,
        standardizer: Standardizer | None = None,
        augment: Augment | None = None,
    ) -> None:
        if len(X) != len(y) or not len(X):
            raise ValueError(f"expected one target for each example, got {len(X)} and {len(y)}")
        if standardizer is not None:
            X = standardizer.transform(np.asarray(X))
        self.X = _copied(X)
        self.y = _copied(y)
        self.augment = augment

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> Batch:
        return self.X[i], self.y[i]

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
        """
        index = torch.tensor(rows, dtype=torch.int64)  # (m,)
        X, y = self.X.index_select(0, index), self.y.index_select(0, index)
        return augmented(X, rows, self.augment), y


def make_loader(
    X: NDArray[Any] | Tensor,
    y: NDArray[Any] | Tensor,
    *,
    batch_size: int,
    generator: torch.Generator | None = None,
    workers: int = 0,
    standardizer: Standardizer | None = None,
    augment: Augment | None = None,
    drop_last: bool = False,
    pin_memory: bool = False,
) -> Loader:
    """Make a loader that hands out minibatches of an array's rows.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n, ...)
        Examples. They are copied: changing the array later changes nothing in the loader.
    y : ndarray or Tensor of shape (n, ...)
        Class ids or targets, copied too.
    batch_size : int
        Examples a batch; the last batch is smaller where this does not divide n.
    generator : torch.Generator, optional
        Shuffles the rows, anew for each epoch, by a seed drawn from it now. Without it they come
        in order, as they should for evaluation.
    workers : int, default 0
        Processes that prepare batches while the loop computes. The batches are the same for any
        number of them.
    standardizer : Standardizer, optional
        Fitted on the training part only; shifts and scales the columns of ``X``.
    augment : callable, optional
        ``augment(X, generator)`` returns a changed batch; needs ``generator``.
    drop_last : bool, default False
        Leave out a last batch that is smaller.
    pin_memory : bool, default False
        Put batches where a GPU can fetch them while it computes; without a GPU nothing is done.

    Returns
    -------
    DataLoader
        Yields pairs of tensors, which share memory with no one, on the CPU.

    Raises
    ------
    ValueError
        If ``X`` and ``y`` differ in length or are empty, ``batch_size`` is below 1, ``workers``
        below 0, no batch is left, the standardizer does not fit, or there is an augmentation and
        nothing to draw it from; the message gives the numbers.

    Examples
    --------
    >>> import numpy as np
    >>> loader = make_loader(np.zeros((5, 2)), np.arange(5), batch_size=2)
    >>> [tuple(X.shape) for X, y in loader]
    [(2, 2), (2, 2), (1, 2)]
    """
    check_options(generator, augment=augment, workers=workers)
    dataset = ArrayDataset(X, y, standardizer=standardizer, augment=augment)
    batches = Batches(len(dataset), batch_size, generator=generator, drop_last=drop_last)
    return batch_loader(dataset, dataset.batch, batches, workers=workers, pin_memory=pin_memory)


def loader_of(
    dataset: Examples,
    *,
    batch_size: int,
    generator: torch.Generator | None = None,
    workers: int = 0,
    drop_last: bool = False,
    pin_memory: bool = False,
    collate: Callable[[list[Any]], Any] = default_collate,
) -> DataLoader[Any]:
    """Make a loader of any dataset that has a length and numbered examples.

    The order is that of ``make_loader``, and so a run can go on in the middle of an epoch. Where
    ``generator`` is given, what the dataset draws from the global generators of Python, NumPy and
    PyTorch is seeded for each batch: the same for any number of workers, and after going on.
    These generators are then left as they were.

    Parameters
    ----------
    dataset : Dataset or sequence
        Has ``len(dataset)`` and ``dataset[i]``.
    batch_size : int
        As in ``make_loader``, and so are the next four.
    generator : torch.Generator, optional
        Shuffles the examples and seeds what they draw.
    workers : int, default 0
        Processes that prepare batches.
    drop_last : bool, default False
        Leave out a last batch that is smaller.
    pin_memory : bool, default False
        Put batches where a GPU can fetch them while it computes.
    collate : callable, default torch.utils.data.default_collate
        Makes a batch of a list of examples.

    Returns
    -------
    DataLoader
        Yields batches, on the CPU.

    Raises
    ------
    ValueError
        If the dataset is empty, ``batch_size`` is below 1, ``workers`` below 0 or no batch is
        left; the message gives the numbers.
    TypeError
        If the dataset has no length; the message says what it is.

    Examples
    --------
    >>> loader = loader_of([{"x": 0.5}, {"x": 1.5}, {"x": 2.5}], batch_size=2)
    >>> [batch["x"].tolist() for batch in loader]
    [[0.5, 1.5], [2.5]]
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise TypeError(
            "expected a dataset with a length and numbered examples, "
            f"got {type(dataset).__name__}: an iterable has no order to go on in"
        )
    check_options(generator, workers=workers)
    batches = Batches(len(dataset), batch_size, generator=generator, drop_last=drop_last)
    read = partial(_collated, dataset, collate)
    return batch_loader(dataset, read, batches, workers=workers, pin_memory=pin_memory)


def sampler_of(loader: object) -> Batches | None:
    """Return what decides the order of a loader's batches.

    Parameters
    ----------
    loader : object
        A loader, of this package or not.

    Returns
    -------
    Batches or None
        None where the loader has another sampler, so that nothing can be said of its order.

    Examples
    --------
    >>> import numpy as np
    >>> loader = make_loader(np.zeros((5, 2)), np.arange(5), batch_size=2)
    >>> len(sampler_of(loader))
    3
    """
    batches = getattr(loader, "batch_sampler", None)
    return batches if isinstance(batches, Batches) else None


def check_options(
    generator: torch.Generator | None, *, augment: Augment | None = None, workers: int = 0
) -> None:
    """Refuse an augmentation that has nothing to draw from, and fewer workers than none."""
    if augment is not None and generator is None:
        raise ValueError("augment draws at random: pass generator=torch.Generator() too")
    if workers < 0:
        raise ValueError(f"expected workers of at least 0, got {workers}")


def augmented(X: Tensor, rows: Sequence[int], augment: Augment | None) -> Tensor:
    """Apply an augmentation by the seed that the rows carry, if there are both."""
    generator = rows.generator() if augment and isinstance(rows, Rows) else None
    return augment(X, generator) if augment and generator else X


def batch_loader(
    dataset: Examples,
    read: Callable[[Rows], Any],
    batches: Batches,
    *,
    workers: int,
    pin_memory: bool,
) -> DataLoader[Any]:
    """Make a loader that reads each batch of a dataset by one call of ``read(rows)``."""
    return DataLoader(
        _Whole(dataset, read),
        batch_sampler=batches,
        collate_fn=_as_it_is,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin_memory and torch.accelerator.is_available(),
        # A loader draws a number for each iteration. From the global generator, on which dropout
        # rests, this would make a run that goes on in the middle of an epoch another run.
        generator=torch.Generator(),
    )


def _as_it_is(batch: Any) -> Any:
    return batch


def _copied(array: NDArray[Any] | Tensor) -> Tensor:
    if isinstance(array, Tensor):
        return array.detach().to("cpu", copy=True)
    return torch.tensor(np.ascontiguousarray(array))


class _Whole(Dataset[Any]):
    """A dataset from which a ``DataLoader`` takes each batch by one call of ``read(rows)``."""

    def __init__(self, dataset: Examples, read: Callable[[Rows], Any]) -> None:
        self.dataset = dataset
        self.read = read

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Any:
        return self.dataset[i]

    def __getitems__(self, rows: Rows) -> Any:
        return self.read(rows)


def _collated(dataset: Examples, collate: Callable[[list[Any]], Any], rows: Rows) -> Any:
    """Make a batch of examples; of none, the batch of the first example cut to no rows."""
    with _seeded(rows.seed):
        batch = collate([dataset[i] for i in rows or [0]])
    return batch if rows else _none_of(batch)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed the global generators of the CPU for a while, then put them back."""
    if seed is None:
        yield
        return
    python, numpy, ours = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002  # what others' datasets draw from
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002  # the same
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002  # the same
        torch.set_rng_state(ours)


def _none_of(batch: Any) -> Any:
    """Cut a batch, in whatever it is nested, to no rows."""
    if isinstance(batch, Tensor):
        return batch[:0]
    if isinstance(batch, Mapping):
        return {name: _none_of(part) for name, part in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(_none_of, batch))
    if isinstance(batch, list | tuple):
        return type(batch)(_none_of(part) for part in batch if not isinstance(part, str | bytes))
    raise TypeError(f"expected tensors in tuples, lists or mappings, got {type(batch).__name__}")
