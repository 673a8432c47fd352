"""A network too large for one device: each process keeps its part of each layer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from dlbook.pytorch.distributed import process_count, share_buffers

__all__ = ["shard"]


def shard(model: nn.Module) -> nn.Module:
    """Distribute a network too large for one device: each process keeps its part of each layer.

    A layer's parameters are brought together just before it computes, and let go after. Call this
    before the optimizer is made, so that its state is distributed too.

    Parameters
    ----------
    model : nn.Module
        The network; its parameters, which become those of rank 0, are replaced. ``nn.Sequential``,
        ``nn.ModuleList`` and ``nn.ModuleDict`` are looked into for what is brought together at a
        time.

    Returns
    -------
    nn.Module
        The same network; unchanged where there is one process.

    Raises
    ------
    ValueError
        If two layers share a parameter; the message gives its names.

    Notes
    -----
    This is PyTorch's ``fully_shard`` (FSDP2): data parallel like ``parallel``, with the same
    results. The memory of parameters, gradients and optimizer state falls to about 1/world of
    the whole, for half as much traffic again. All processes must then call the network together:
    ``predict`` too.

    Examples
    --------
    >>> model = nn.Linear(2, 1)
    >>> shard(model) is model
    True
    """
    if process_count() == 1:
        return model
    from torch.distributed.fsdp import fully_shard

    _check_no_tied(model)
    device = torch.device("cuda" if "nccl" in dist.get_backend_config() else "cpu")
    mesh = init_device_mesh(device.type, (process_count(),))
    for parameter in model.parameters():
        dist.broadcast(parameter.data, 0)
    share_buffers(model)
    for layer in _layers(model):
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def _check_no_tied(model: nn.Module) -> None:
    """Refuse a parameter that stands in two layers: each would distribute it for itself."""
    names: dict[nn.Parameter, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter in names:
            raise ValueError(
                f"expected layers with parameters of their own, got {names[parameter]} and {name} "
                "in one: a network with tied parameters cannot be distributed layer by layer"
            )
        names[parameter] = name


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    """Yield what is brought together at a time: children with parameters, looking into lists."""
    for child in model.children():
        if isinstance(child, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            yield from _layers(child)
        elif any(True for _ in child.parameters()):
            yield child
