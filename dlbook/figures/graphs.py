"""Pictures of what the autograd recorded: tensors, the operations between them, the way back."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from dlbook.figures import style
from dlbook.scratch.autograd import Tensor, exp, sigmoid

__all__ = ["graph", "neuron_graph", "value_used_twice"]

Place = tuple[float, float]
Chain = list[Hashable]  # an edge: its source, a bend in each column it crosses, its target
LARGEST = 60  # nodes that can still be told apart
HALF_WIDTH, HALF_HEIGHT = 0.33, 0.2
SWEEPS = 4


def graph(output: Tensor) -> Figure:
    """Draw how a tensor was computed, from left to right.

    Blue are the parameters and the arrows along which gradients come back; gray are constants.
    Under each node stands its shape.

    Parameters
    ----------
    output : Tensor
        What was computed.

    Returns
    -------
    Figure
        One node for each tensor, one arrow for each use of it.

    Raises
    ------
    TypeError
        If ``output`` is not a tensor; the message gives what it is.
    ValueError
        If there are more than 60 tensors, which no picture can show; the message says how many.

    Examples
    --------
    >>> x = Tensor(np.array([1.0, 2.0]), name="x")
    >>> [text.get_text() for text in graph(exp(x)).axes[0].texts]
    ['exp', '(2,)', 'x', '(2,)']
    """
    if not isinstance(output, Tensor):
        raise TypeError(f"expected a Tensor, got {type(output).__name__}")
    distances = _distances(output)
    if len(distances) > LARGEST:
        raise ValueError(f"expected at most {LARGEST} tensors to draw, got {len(distances)}")
    chains = _chains(distances)
    columns = _columns(distances, chains)
    places = {
        key: (float(x), (len(column) - 1) / 2 - y)
        for x, column in enumerate(columns)
        for y, key in enumerate(column)
    }
    rows = max(map(len, columns))
    fig = style.canvas(0.92 * len(columns) + 0.1, 0.92 * rows + 0.1)
    ax = style.diagram(fig, (-0.5, len(columns) - 0.5), (-rows / 2, rows / 2))
    for chain in chains:
        _draw_edge(ax, chain, places, chains)
    for tensor in distances:
        _draw_node(ax, tensor, places[tensor], last=tensor is output)
    return fig


def _distances(output: Tensor) -> dict[Tensor, int]:
    """Return how many operations lie, at most, between each tensor and the output."""
    uses: dict[Tensor, int] = {output: 0}
    waiting = [output]
    while waiting:
        for source in waiting.pop().sources:
            if source not in uses:
                uses[source] = 0
                waiting.append(source)
            uses[source] += 1
    distances = {output: 0}
    ready = [output]
    while ready:
        tensor = ready.pop(0)
        for source in tensor.sources:
            distances[source] = max(distances.get(source, 0), distances[tensor] + 1)
            uses[source] -= 1
            if not uses[source]:
                ready.append(source)
    return distances


def _chains(distances: dict[Tensor, int]) -> list[Chain]:
    chains: list[Chain] = []
    for tensor, near in distances.items():
        for use, source in enumerate(tensor.sources):
            crossed = range(distances[source] - 1, near, -1)
            chains.append([source, *((tensor, use, column) for column in crossed), tensor])
    return chains


def _columns(distances: dict[Tensor, int], chains: list[Chain]) -> list[Chain]:
    """Order each column so that few edges cross: every key near the middle of its neighbors."""
    depth = max(distances.values())
    columns: list[Chain] = [[] for _ in range(depth + 1)]
    left: dict[Hashable, Chain] = {}
    right: dict[Hashable, Chain] = {}
    for tensor, distance in distances.items():
        columns[depth - distance].append(tensor)
    for chain in chains:
        start = depth - distances[chain[0]]  # type: ignore[index]  # a chain starts at a tensor
        for i, (key, following) in enumerate(pairwise(chain)):
            right.setdefault(key, []).append(following)
            left.setdefault(following, []).append(key)
            if i:  # a bend
                columns[start + i].append(key)
    for _ in range(SWEEPS):
        for neighbors, order in ((right, columns[::-1]), (left, columns)):
            for fixed, column in pairwise(order):
                _sort(column, fixed, neighbors)
    return columns


def _sort(column: Chain, fixed: Chain, neighbors: dict[Hashable, Chain]) -> None:
    at = {key: y - (len(fixed) - 1) / 2 for y, key in enumerate(fixed)}
    own = {key: y - (len(column) - 1) / 2 for y, key in enumerate(column)}

    def middle(key: Hashable) -> float:
        beside = [at[k] for k in neighbors.get(key, []) if k in at]
        return float(np.mean(beside)) if beside else own[key]

    column.sort(key=middle)


def _draw_edge(ax: Axes, chain: Chain, places: dict[Hashable, Place], chains: list[Chain]) -> None:
    source, target = chain[0], chain[-1]
    flows = isinstance(source, Tensor) and not source.constant
    twins = [c for c in chains if (c[0], c[-1]) == (source, target)]
    aside = 0.22 * (next(i for i, c in enumerate(twins) if c is chain) - (len(twins) - 1) / 2)
    points = [places[key] for key in chain]
    (x0, y0), (x1, y1) = points[0], points[-1]
    way: Sequence[Place] = [
        (x0 + HALF_WIDTH, y0 + aside),
        *points[1:-1],
        (x1 - HALF_WIDTH, y1 + aside),
    ]
    ax.add_patch(
        FancyArrowPatch(
            path=_curve(way),
            arrowstyle="-|>",
            mutation_scale=10,
            color=style.BLUE if flows else style.MUTED,
            linewidth=style.LINE if flows else style.THIN,
            zorder=2,
        )
    )


def _curve(way: Sequence[Place]) -> Path:
    """Lead a smooth line through points, level at each of them."""
    vertices, codes = [way[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(way):
        half = (x0 + x1) / 2
        vertices += [(half, y0), (half, y1), (x1, y1)]
        codes += [Path.CURVE4] * 3
    return Path(vertices, codes)


def _draw_node(ax: Axes, tensor: Tensor, place: Place, *, last: bool) -> None:
    x, y = place
    given = not tensor.operation
    parameter = given and not tensor.constant
    ax.add_patch(
        FancyBboxPatch(
            (x - HALF_WIDTH, y - HALF_HEIGHT),
            2 * HALF_WIDTH,
            2 * HALF_HEIGHT,
            boxstyle=f"round,pad=0,rounding_size={0.06 if given else HALF_HEIGHT}",
            facecolor=style.BLUE_SOFT if parameter else style.PAPER,
            edgecolor=style.MUTED if tensor.constant else style.INK,
            linewidth=style.BOLD if last else style.LINE if not tensor.constant else style.THIN,
            zorder=3,
        )
    )
    label = tensor.operation or tensor.name or ("array" if tensor.constant else "tensor")
    size = style.TEXT if len(label) < 6 else style.SMALL
    ax.text(x, y, label, ha="center", va="center", fontsize=size, zorder=4)
    if tensor.name and tensor.operation:
        ax.text(x, y + HALF_HEIGHT + 0.04, tensor.name, ha="center", va="bottom", zorder=4)
    if tensor.value.ndim or not tensor.constant:
        under, color = y - HALF_HEIGHT - 0.04, style.MUTED
        shape = str(tensor.value.shape)
        ax.text(x, under, shape, ha="center", va="top", fontsize=style.SMALL, color=color, zorder=4)


def neuron_graph() -> Figure:
    """Draw the squared error of a neuron with two inputs on three examples."""
    X = Tensor(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), name="X", constant=True)
    Y = Tensor(np.array([[0.0], [0.0], [1.0]]), name="Y", constant=True)
    w, b = Tensor(np.array([[1.0], [-1.0]]), name="w"), Tensor(np.zeros(1), name="b")
    loss = ((sigmoid(X @ w + b) - Y) ** 2).mean()
    loss.name = "loss"
    return graph(loss)


def value_used_twice() -> Figure:
    """Draw x·x + eˣ: three arrows leave x, so that three gradients meet there."""
    x = Tensor(np.array([1.0, 2.0]), name="x")
    return graph(x * x + exp(x))
