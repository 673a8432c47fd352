"""The graph behind a loss, read before the backward pass takes it down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

__all__ = ["Graph", "Node", "graph_of"]

MOST = 3_000  # operations that are read; a graph that has more is cut there

# Operations that give back what they are given in another shape or place.
SHAPING = frozenset(
    {
        *("Alias", "Clone", "Contiguous", "Expand", "Flatten", "Permute", "Reshape", "Select"),
        *("Slice", "Squeeze", "T", "ToCopy", "Transpose", "Unsqueeze", "UnsafeView", "View"),
    }
)
# What losses save of their two sides and of how they are reduced.
SAVED = ("dim", "reduction", "ignore_index", "p", "train", "training", "eps", "exponent")
SIDES = ("self", "target", "weight", "pos_weight", "result")
LOGARITHMS = frozenset({"Log", "Log10", "Log2", "Xlogy"})
LOSSES = frozenset(
    {
        *("BinaryCrossEntropy", "BinaryCrossEntropyWithLogits", "HuberLoss", "MseLoss"),
        *("NllLoss", "NllLoss2D", "SmoothL1Loss"),
    }
)


@dataclass
class Node:
    """One operation of a graph.

    Parameters
    ----------
    kind : str
        Its name without ``Backward0``: ``"Addmm"``, ``"Softmax"``; ``"Parameter"`` for a tensor
        that gradients are kept for.
    shape : tuple of int
        The shape of its result; empty where it is not known.
    inputs : list of Node
        What it was made from, as far as gradients flow there.
    saved : dict
        What it kept for the backward pass: ``dim``, ``reduction`` … , and for losses and softmax
        their tensors (``self``, ``target``, ``result``), detached copies; for logarithms ``least``,
        the least number that they were taken of.
    parameter : Tensor or None
        The tensor that gradients are kept for.
    """

    kind: str
    shape: tuple[int, ...] = ()
    inputs: list[Node] = field(default_factory=list)
    saved: dict[str, Any] = field(default_factory=dict)
    parameter: Tensor | None = None

    def source(self, number: int = 0) -> Node | None:
        """Return the operation that made an input, looking through changes of shape alone.

        Parameters
        ----------
        number : int, default 0
            Which input.

        Returns
        -------
        Node or None
            None where no gradient flows there.
        """
        if number >= len(self.inputs):
            return None
        node = self.inputs[number]
        while node.kind in SHAPING and node.inputs:
            node = node.inputs[0]
        return node


@dataclass
class Graph:
    """All operations that a loss was made by.

    Parameters
    ----------
    nodes : list of Node
        The last operation first; each once, and before what it was made from where they are on
        one path.
    whole : bool
        Whether all of them are there.
    """

    nodes: list[Node]
    whole: bool = True

    def of_kind(self, *kinds: str) -> Iterator[Node]:
        """Yield the operations of these kinds, those next to the loss first."""
        return (node for node in self.nodes if node.kind in kinds)

    @property
    def losses(self) -> list[Node]:
        """The operations that are PyTorch's own losses."""
        return list(self.of_kind(*LOSSES))

    @property
    def parameters(self) -> dict[int, Tensor]:
        """The tensors that gradients arrive at, by their id."""
        found = (node.parameter for node in self.nodes if node.parameter is not None)
        return {id(parameter): parameter for parameter in found}


def graph_of(loss: Tensor) -> Graph:
    """Read the graph behind a tensor.

    Parameters
    ----------
    loss : Tensor
        What ``backward`` is to be called on.

    Returns
    -------
    Graph
        Its operations; none where nothing is behind it.

    Examples
    --------
    >>> import torch
    >>> w = torch.ones(3, requires_grad=True)
    >>> [node.kind for node in graph_of((2 * w).sum()).nodes]
    ['Sum', 'Mul', 'Parameter']
    """
    if loss.grad_fn is None:
        return Graph([])
    nodes: dict[Any, Node] = {}
    waiting: list[Any] = [loss.grad_fn]
    order: list[Any] = []
    while waiting and len(order) < MOST:
        function = waiting.pop(0)
        if function in nodes:
            continue
        nodes[function] = _read(function)
        order.append(function)
        waiting.extend(f for f, _ in function.next_functions if f is not None)
    for function in order:
        behind = (f for f, _ in function.next_functions if f is not None)
        nodes[function].inputs = [nodes[f] for f in behind if f in nodes]
    return Graph([nodes[function] for function in order], whole=not waiting)


def _read(function: Any) -> Node:
    parameter = getattr(function, "variable", None)
    if parameter is not None:
        return Node("Parameter", tuple(parameter.shape), parameter=parameter)
    kind = function.name().rpartition("::")[2].partition("Backward")[0]
    metadata = getattr(function, "_input_metadata", None)
    shape = tuple(metadata[0].shape) if metadata else ()
    if kind in LOGARITHMS:
        of = _saved(function, ("other" if kind == "Xlogy" else "self",))
        least = min((float(t.min()) for t in of.values() if t.numel()), default=math.nan)
        return Node(kind, shape, saved={"least": least})
    names = SAVED + (SIDES if kind in LOSSES or "oftmax" in kind or kind == "Sigmoid" else ())
    return Node(kind, shape, saved=_saved(function, names))


def _saved(function: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Copy what an operation saved; a tensor that was changed since cannot be had."""
    found = {}
    for name in names:
        try:
            value = getattr(function, f"_saved_{name}", None)
        except RuntimeError:
            continue
        if value is not None:
            found[name] = value.detach().clone() if isinstance(value, Tensor) else value
    return {name: _signed(value) for name, value in found.items()}


def _signed(value: object) -> object:
    """Give back numbers below zero, which PyTorch hands out as if they had no sign."""
    return value - 2**64 if isinstance(value, int) and value >= 2**63 else value
