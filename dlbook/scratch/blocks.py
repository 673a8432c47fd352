"""All parameters of a network as one row of numbers, cut into blocks that fit a processor's cache.

An optimizer goes over its numbers some ten times in a step. Parameter by parameter, a small network
pays for many calls on few numbers, and a large one waits for memory in each of them. In blocks,
small parameters share their calls, and the numbers of a large one stay in the cache until the step
is done with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import NamedTuple

import numpy as np

from dlbook.scratch.checks import Array

__all__ = ["Block", "cut"]

CAPACITY = 2**16  # numbers in a block: in float32, arrays of 256 KiB


class Piece(NamedTuple):
    """Some rows of a parameter, and where they stand in a block."""

    parameter: int
    rows: slice | EllipsisType
    shape: tuple[int, ...]
    place: slice


class Block:
    """Numbers that an optimizer changes together.

    Parameters
    ----------
    pieces : list of Piece
        Where the numbers come from, in order.
    dtype : dtype
        Their dtype.
    states : int
        How many numbers the optimizer remembers of each.

    Attributes
    ----------
    states : list of ndarray
        What the optimizer remembers, 0 at the start.
    """

    def __init__(self, pieces: list[Piece], dtype: np.dtype[np.floating], states: int) -> None:
        self.pieces = pieces
        self.dtype = dtype
        self.size = pieces[-1].place.stop
        self.states: list[Array] = [np.zeros(self.size, dtype) for _ in range(states)]

    def gather(self, arrays: Sequence[Array], out: Array) -> Array:
        """Bring together the block's numbers of the parameters, or of their gradients.

        Parameters
        ----------
        arrays : list of ndarray
            One for each parameter, of its shape.
        out : ndarray of shape (m,)
            Where to write, if they are not together yet; at least the size of the block.

        Returns
        -------
        ndarray of shape (size,)
            The numbers, to be read only: a view, where a block is a part of one parameter.
        """
        found = [arrays[piece.parameter][piece.rows].ravel() for piece in self.pieces]
        return found[0] if len(found) == 1 else np.concatenate(found, out=out[: self.size])

    def subtract(self, change: Array, parameters: Sequence[Array]) -> None:
        """Subtract from every number of the block its change, in place.

        Parameters
        ----------
        change : ndarray of shape (size,)
            What to subtract.
        parameters : list of ndarray
            The parameters.
        """
        for i, rows, shape, place in self.pieces:
            part = parameters[i][rows]
            part -= change[place].reshape(shape)


def cut(parameters: Sequence[Array], *, states: int, capacity: int = CAPACITY) -> list[Block]:
    """Cut parameters into blocks of about the same size, each of one dtype.

    Parameters
    ----------
    parameters : list of ndarray
        The arrays that an optimizer changes.
    states : int
        How many numbers the optimizer remembers of each number.
    capacity : int
        Numbers in a block; one row of a parameter stays together, however long it is.

    Returns
    -------
    list of Block
        Together they hold every number once, in order.

    Examples
    --------
    >>> W, b = np.zeros((4, 3)), np.zeros(3)
    >>> [block.size for block in cut([W, b], states=1, capacity=6)]
    [6, 6, 3]
    """
    groups: list[list[Piece]] = [[]]
    filled = 0
    for i, w in enumerate(parameters):
        for rows in _rows(w, capacity):
            part = w[rows]
            if groups[-1] and (
                filled + part.size > capacity
                or w.dtype != parameters[groups[-1][0].parameter].dtype
            ):
                groups.append([])
                filled = 0
            groups[-1].append(Piece(i, rows, part.shape, slice(filled, filled + part.size)))
            filled += part.size
    return [Block(group, parameters[group[0].parameter].dtype, states) for group in groups]


def _rows(w: Array, capacity: int) -> list[slice | EllipsisType]:
    """Return what cuts a parameter into parts that fit a block; a small one stays whole."""
    if w.size <= capacity or w.ndim == 0:
        return [...]
    step = max(capacity * len(w) // w.size, 1)
    return [slice(start, start + step) for start in range(0, len(w), step)]
