"""Which rows make up which batch: an order that a seed and an epoch's number fix for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

__all__ = ["Batches", "Rows"]


class Rows(list[int]):
    """The numbers of a batch's rows, and the key of all randomness that goes into the batch.

    Parameters
    ----------
    rows : iterable of int
        Row numbers; none for an empty share.
    key : tuple of int, optional
        The sampler's seed, then the numbers of epoch, batch and process. Without it nothing about
        the batch is random.

    Examples
    --------
    >>> rows = Rows([4, 2], key=(7, 0, 1, 0))
    >>> rows, rows.seed == Rows([4, 2], key=(7, 0, 1, 0)).seed
    ([4, 2], True)
    """

    def __init__(self, rows: Iterable[int] = (), *, key: tuple[int, ...] | None = None) -> None:
        super().__init__(rows)
        self.key = key

    @property
    def seed(self) -> int | None:
        """The batch's own seed, or None where nothing about it is random."""
        return None if self.key is None else _mixed(*self.key)

    def generator(self) -> torch.Generator | None:
        """Make a generator from the seed.

        Returns
        -------
        torch.Generator or None
            On the CPU, the same each time; None where nothing about the batch is random.
        """
        seed = self.seed
        return None if seed is None else torch.Generator().manual_seed(seed)


class Batches(Sampler[list[int]]):
    """The batches of every epoch, known from one seed.

    The order of an epoch follows from the seed and the epoch's number alone, not from what was
    drawn before. So a run can go on in the middle of any epoch, and each of several processes
    knows the same order without asking the others.

    Parameters
    ----------
    n : int
        The number of rows.
    batch_size : int
        Rows a batch, over all processes; the last batch is smaller where this does not divide n.
    generator : torch.Generator, optional
        Draws the seed, once and now. Without it the rows come in order in every epoch.
    drop_last : bool, default False
        Leave out a last batch that is smaller.

    Attributes
    ----------
    epoch : int
        The epoch that the next iteration yields, counted from 0.
    position : int
        The batch in which the next iteration begins, counted from 0.
    seed : int or None
        The seed, from 0 to 2⁶³ - 2; None where rows come in order.

    Raises
    ------
    ValueError
        If ``n`` or ``batch_size`` is below 1, or no batch is left; the message gives the numbers.

    Notes
    -----
    An iteration that ends moves on to the next epoch. One that is given up, after a look at the
    first batch, moves nothing. A ``DataLoader`` with workers asks for batches before the training
    loop needs them, so the sampler cannot tell where training stands: the loop counts its own
    batches, and says with ``start`` where to go on.

    PyTorch's own samplers draw each epoch from a generator that moves on; where in an epoch it
    stands is in no checkpoint.

    Examples
    --------
    >>> batches = Batches(5, 2)
    >>> list(batches), batches.epoch
    ([[0, 1], [2, 3], [4]], 1)
    >>> batches.start(0, position=1)
    >>> list(batches)
    [[2, 3], [4]]
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        *,
        generator: torch.Generator | None = None,
        drop_last: bool = False,
    ) -> None:
        if n < 1:
            raise ValueError(f"expected at least one row, got n = {n}")
        if batch_size < 1:
            raise ValueError(f"expected a batch size of at least 1, got {batch_size}")
        if drop_last and n < batch_size:
            raise ValueError(
                f"expected drop_last to leave a batch, got {n} rows for batches of {batch_size}"
            )
        self.n = n
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.seed = None if generator is None else _drawn_seed(generator)
        self.epoch = 0
        self.position = 0
        self.rank, self.world = 0, 1

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        return self.n // self.batch_size if self.drop_last else -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[Rows]:
        """Yield this process's share of each batch, from ``position`` to the end of the epoch."""
        for rows, key in self.shares():
            yield Rows(rows.tolist(), key=key)

    def shares(
        self, device: torch.device | str = "cpu"
    ) -> Iterator[tuple[Tensor, tuple[int, ...] | None]]:
        """Yield the same as an iteration does, as tensors.

        Parameters
        ----------
        device : torch.device or str, default "cpu"
            Where the row numbers are to be.

        Yields
        ------
        rows : Tensor of shape (m,)
            Row numbers of this process's share of a batch, int64.
        key : tuple of int or None
            Seed, epoch, batch and process, from which ``Rows`` makes the batch's own seed; None
            where rows come in order.
        """
        epoch, position = self.epoch, self.position
        for number, batch in enumerate(self.global_batches(epoch, position, device), position):
            key = None if self.seed is None else (self.seed, epoch, number, self.rank)
            yield batch[self.rank :: self.world], key
        self.start(epoch + 1)

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
        order = self.order(epoch).to(device)
        for number in range(position, len(self)):
            yield order[number * self.batch_size : (number + 1) * self.batch_size]

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
        return shuffled(self.n, self.seed, epoch)

    def start(self, epoch: int, position: int = 0) -> None:
        """Set where the next iteration begins.

        Parameters
        ----------
        epoch : int
            The epoch, counted from 0.
        position : int, default 0
            The batch in it, counted from 0; as many as there are leaves nothing of this epoch.

        Raises
        ------
        ValueError
            If there is no such epoch or batch; the message gives what there is.
        """
        if epoch < 0:
            raise ValueError(f"expected an epoch of at least 0, got {epoch}")
        if not 0 <= position <= len(self):
            raise ValueError(f"expected a position from 0 to {len(self)}, got {position}")
        self.epoch, self.position = epoch, position

    def share(self, rank: int, world: int) -> None:
        """Yield one process's rows of each batch from now on: ``batch[rank::world]``.

        The batches themselves stay those of one process. Where a batch has fewer rows than there
        are processes, some shares of it are empty, and are yielded: every process makes the same
        number of steps.

        Parameters
        ----------
        rank : int
            This process, counted from 0.
        world : int
            The number of processes.

        Raises
        ------
        ValueError
            If there is no such process; the message gives both numbers.
        """
        if not 0 <= rank < world:
            raise ValueError(f"expected a rank from 0 to {world - 1} of {world}, got {rank}")
        self.rank, self.world = rank, world

    def state_dict(self) -> dict[str, Any]:
        """Return what fixes the order of every epoch.

        Returns
        -------
        dict of str to object
            ``seed``, ``n``, ``batch_size`` and ``drop_last``: numbers, None or a bool.
        """
        names = ("seed", "n", "batch_size", "drop_last")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the order of the sampler that gave this state.

        Parameters
        ----------
        state : dict of str to object
            From ``state_dict``.

        Raises
        ------
        ValueError
            If the state is not a sampler's, or is of one that cuts other batches; the message
            gives both.
        """
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ValueError(f"expected a sampler's {', '.join(own)}, got {', '.join(state)}")
        for name in own.keys() - {"seed"}:
            if state[name] != own[name]:
                raise ValueError(
                    f"the state is of batches with {name} = {state[name]}, here it is {own[name]}: "
                    "go on with the data and the batch size of the run that was saved"
                )
        if not (state["seed"] is None or (isinstance(state["seed"], int) and state["seed"] >= 0)):
            raise ValueError(f"expected a seed of at least 0 or None, got {state['seed']!r}")
        self.seed = state["seed"]


def _drawn_seed(generator: torch.Generator) -> int:
    device = generator.device
    return int(torch.randint(2**63 - 1, (), generator=generator, device=device))


def shuffled(n: int, seed: int | None, *key: int) -> Tensor:
    """Return the numbers below n in the order of a seed and a key; without a seed, as they are."""
    if seed is None:
        return torch.arange(n)
    return torch.randperm(n, generator=torch.Generator().manual_seed(_mixed(seed, *key)))


def _mixed(seed: int, *key: int) -> int:
    """Return a seed of its own for each key, as NumPy's generators spawn theirs."""
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return int(sequence.generate_state(1, np.uint64)[0])
