"""What lies between two layers: whether anything but sums and scalings does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from dlbook.doctor.traces import SHAPING

__all__ = ["Between"]

# Functions with weights that are linear in what they are given, and the place of the weights.
LAYERS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d"), 1),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1),
}
PRODUCTS = frozenset({"matmul", "__matmul__", "mm", "bmm", "addmm", "baddbmm", "einsum"})
# What keeps a linear map one.
STRAIGHT = SHAPING | {
    *("__add__", "__getitem__", "__iadd__", "__isub__", "__neg__", "__radd__", "__sub__", "add"),
    *("add_", "alpha_dropout", "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm", "cat"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "chunk", "dropout", "dropout1d", "dropout2d"),
    *("feature_dropout", "mean", "narrow", "neg", "select", "split", "stack", "sub", "sum"),
}
SCALINGS = frozenset({"__mul__", "__rmul__", "__truediv__", "div", "mul", "mul_"})


class Between(TorchFunctionMode):
    """Finds layers that follow each other with no nonlinearity in between.

    Parameters
    ----------
    activation : callable, optional
        Applied between them.

    Attributes
    ----------
    pairs : list of tuple of int
        The shapes of the weights of each second layer.
    bent : bool
        Whether any function that is not linear was called on what a layer gave out.
    """

    def __init__(self, activation: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.activation = activation
        self.pairs: list[tuple[int, ...]] = []
        self._straight: dict[int, Tensor] = {}  # made by a layer, and only added up since
        self._weights: dict[int, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, and note what it makes of a layer's result."""
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        name = getattr(func.__self__, "__name__", name) if name == "__get__" else name
        given = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        layer = self._is_layer(name, given)
        after = [t for t in given if id(t) in self._straight]
        if layer and after:
            self.pairs.append(tuple(after[0].shape))
            if self.activation is not None:
                swap = {id(t): self.activation(t) for t in after}
                args = torch.utils._pytree.tree_map(lambda t: swap.get(id(t), t), args)
                kwargs = torch.utils._pytree.tree_map(lambda t: swap.get(id(t), t), kwargs)
        result = func(*args, **kwargs)
        kept = layer or (after and self._keeps(name, given))
        shaped = name in SHAPING and given and id(given[0]) in self._weights
        for tensor in tree_flatten(result)[0]:
            if isinstance(tensor, Tensor):
                if kept:
                    self._straight[id(tensor)] = tensor
                else:
                    self._straight.pop(id(tensor), None)  # one changed in place
                if shaped:
                    self._weights[id(tensor)] = tensor
        return result

    def _is_layer(self, name: str, given: list[Tensor]) -> bool:
        for tensor in given:
            if isinstance(tensor, nn.Parameter) or (tensor.is_leaf and tensor.requires_grad):
                self._weights[id(tensor)] = tensor
        if name in LAYERS:
            return True
        return name in PRODUCTS and any(id(t) in self._weights and t.dim() > 1 for t in given)

    def _keeps(self, name: str, given: list[Tensor]) -> bool:
        """Tell whether a function of a layer's result is still linear in what the layer saw."""
        others = [t for t in given if id(t) not in self._straight]
        if name in SCALINGS:
            return len(others) == len(given) - 1 and not any(t.requires_grad for t in others)
        return name in STRAIGHT and not any(
            t.requires_grad and not t.is_leaf and id(t) not in self._weights for t in others
        )
