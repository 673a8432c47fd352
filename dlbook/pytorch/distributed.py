"""One process or many: what a training loop asks of the processes beside it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ["parallel", "process_count", "rank", "sum_over_processes", "synchronized"]


def process_count() -> int:
    """Return how many processes train together: 1 where none was started beside this one.

    Returns
    -------
    int
        The world size of ``torch.distributed``.

    Examples
    --------
    >>> process_count()
    1
    """
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number among those that train together, from 0.

    Returns
    -------
    int
        0 where there is only one.

    Examples
    --------
    >>> rank()
    0
    """
    return dist.get_rank() if dist.is_initialized() else 0


def sum_over_processes(values: Tensor) -> Tensor:
    """Add up a tensor over all processes; each gets the sum.

    Parameters
    ----------
    values : Tensor of shape (...)
        This process's summand; it is not changed.

    Returns
    -------
    Tensor of shape (...)
        The sum.

    Examples
    --------
    >>> import torch
    >>> sum_over_processes(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    total = values.clone()
    if process_count() > 1:
        dist.all_reduce(total)
    return total


def parallel(model: nn.Module) -> nn.Module:
    """Wrap a network so that backward averages its gradients over all processes.

    Parameters
    ----------
    model : nn.Module
        The network, on this process's device.

    Returns
    -------
    nn.Module
        The network itself where there is one process, else a wrapper that holds the same
        parameters.
    """
    return model if process_count() == 1 else DistributedDataParallel(model)


def synchronized(network: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Let processes exchange gradients in the backward pass only of a step's last batch."""
    if last or not isinstance(network, DistributedDataParallel):
        return nullcontext()
    return network.no_sync()
