"""What a network is made of: its layers, their output shapes and their parameters."""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dlbook.pytorch.randomness import generators_state, set_generators_state

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["LayerSummary", "Summary", "count_parameters", "summary"]

WIDTH = 120


def count_parameters(model: nn.Module, *, trainable_only: bool = False) -> int:
    """Count the numbers that a network learns; one that stands in two places counts once.

    Parameters
    ----------
    model : nn.Module
        The network.
    trainable_only : bool, default False
        Leave out what is frozen: parameters whose ``requires_grad`` is False.

    Returns
    -------
    int
        Numbers, not tensors. Buffers, such as the means that batch normalization keeps, are not
        learned and not counted.

    Examples
    --------
    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a summary.

    Attributes
    ----------
    name : str
        Where it stands in the network, as in ``layers.0``; empty for the network itself.
    kind : str
        Its class.
    shape : tuple of int or None
        The shape of its output, or of the first tensor of it; None if it was not called by itself.
    parameters : int
        Its own parameters, without those of the layers in it and those that a layer above holds
        too.
    trainable : int
        How many of them are not frozen.
    tied : bool
        Whether it also has parameters that a layer above holds.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    trainable: int
    tied: bool

    def cells(self) -> tuple[str, ...]:
        """Return what a table shows: name, kind, output shape, parameters, trainable."""
        count = f"{self.parameters:,}" if self.parameters or not self.tied else ""
        shares = {0: "no", self.parameters: "yes"}
        return (
            self.name or "(itself)",
            self.kind,
            str(self.shape or ""),
            " + ".join(filter(None, [count, "tied" if self.tied else ""])),
            shares.get(self.trainable, "partly") if self.parameters else "",
        )


@dataclass(frozen=True)
class Summary:
    """The layers of a network, shown as a table by ``print``, Rich and notebooks.

    Attributes
    ----------
    title : str
        The network's class.
    layers : tuple of LayerSummary
        The layers that hold no others, and those with parameters of their own, in order.
    """

    title: str
    layers: tuple[LayerSummary, ...]

    @property
    def parameters(self) -> int:
        """The number of all parameters, as ``count_parameters`` counts them."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable(self) -> int:
        """The number of those that are not frozen."""
        return sum(layer.trainable for layer in self.layers)

    def __rich__(self) -> Table:
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE, show_edge=False, show_footer=True)
        table.add_column(self.title, footer="total")
        table.add_column("kind")
        table.add_column("output shape")
        table.add_column("parameters", footer=f"{self.parameters:,}", justify="right")
        table.add_column("trainable", footer=f"{self.trainable:,}", justify="right")
        for layer in self.layers:
            table.add_row(*layer.cells())
        return table

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
        with console.capture() as shown:
            console.print(self)
        return "\n".join(line.rstrip() for line in shown.get().splitlines())

    def _repr_mimebundle_(self, include: Sequence[str], exclude: Sequence[str]) -> dict[str, str]:
        return self.__rich__()._repr_mimebundle_(include, exclude)


def summary(model: nn.Module, example: Tensor | Sequence[int]) -> Summary:
    """List a network's layers with their output shapes and parameters.

    A copy of the network, in evaluation mode, is run on one batch. The network itself stays as it
    is, with its mode, gradients and running statistics, and so do all global generators.

    Parameters
    ----------
    model : nn.Module
        The network.
    example : Tensor or sequence of int
        A batch that the network takes, or the shape of one, the number of examples first; zeros of
        the parameters' dtype then stand in for it.

    Returns
    -------
    Summary
        Prints as a table.

    Raises
    ------
    TypeError
        If the example is neither; the message gives what it is.
    ValueError
        If a shape has a length below 1; the message gives it.

    Notes
    -----
    Operations that are no modules, such as ``torch.relu`` in a method ``forward``, are not listed.

    Examples
    --------
    >>> print(summary(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), (5, 64)))
     Sequential   kind     output shape   parameters   trainable
    ─────────────────────────────────────────────────────────────
     0            Linear   (5, 32)             2,080         yes
     1            ReLU     (5, 32)                 0
     2            Linear   (5, 10)               330         yes
    ─────────────────────────────────────────────────────────────
     total                                     2,410       2,410
    """
    batch = _batch(model, example)
    copied = copy.deepcopy(model).eval()
    shapes = _run(copied, batch)
    layers = []
    seen: set[nn.Parameter] = set()
    for name, module in copied.named_modules():
        own = list(module.parameters(recurse=False))
        if own or not list(module.children()):
            first = [p for p in own if p not in seen]
            seen.update(first)
            layers.append(
                LayerSummary(
                    name=name,
                    kind=type(module).__name__,
                    shape=shapes.get(module),
                    parameters=sum(p.numel() for p in first),
                    trainable=sum(p.numel() for p in first if p.requires_grad),
                    tied=len(first) < len(own),
                )
            )
    return Summary(type(model).__name__, tuple(layers))


def _batch(model: nn.Module, example: Tensor | Sequence[int]) -> Tensor:
    if isinstance(example, Tensor):
        return example.clone()  # for a layer that works in place
    if not isinstance(example, Sequence) or not all(isinstance(length, int) for length in example):
        raise TypeError(f"expected a tensor or a shape such as (1, 64), got {example!r}")
    if not example or min(example) < 1:
        raise ValueError(f"expected a shape of lengths of at least 1, got {tuple(example)}")
    parameter = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros(*example, dtype=parameter.dtype, device=parameter.device)


def _run(model: nn.Module, batch: Tensor) -> dict[nn.Module, tuple[int, ...]]:
    """Run a network once; return the shape that each of its modules put out last."""
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG001  # as hooks are called
        while isinstance(output, tuple | list) and output:
            output = output[0]
        if isinstance(output, Tensor):
            shapes[module] = tuple(output.shape)

    for module in model.modules():
        module.register_forward_hook(note)
    state = generators_state()
    try:
        with torch.no_grad():
            model(batch)
    finally:
        set_generators_state(state)
    return shapes
