"""One process or many: joining them, and what a training loop asks of the processes beside it.

Tested with gloo on one machine; NCCL, several GPUs and several machines could not be tested here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, TypeGuard, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from dlbook.pytorch.batches import Batches
from dlbook.pytorch.data import Batch, sampler_of
from dlbook.pytorch.devices import best_device
from dlbook.pytorch.failures import LastWords, terminable
from dlbook.pytorch.places import Place, cores, launched, own_device, place_from_torchrun

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule

__all__ = [
    "any_process",
    "from_first",
    "gather_to_first",
    "launched",
    "parallel",
    "process_count",
    "process_group",
    "rank",
    "share_buffers",
    "share_out",
    "sum_over_processes",
    "synchronized",
]

Value = TypeVar("Value")


@contextmanager
def process_group(
    device: str | torch.device | None = None, *, timeout: float = 600.0
) -> Iterator[torch.device]:
    """Join the processes that ``torchrun`` started, for as long as the block runs.

    They speak through NCCL where each has a CUDA device of its own, through gloo otherwise; what
    lies in the CPU's memory goes through gloo in any case. On the CPU, each process computes with
    its part of the cores.

    Without ``torchrun`` there is nothing to join, and the block runs as it would alone. So one
    program serves both; ``torchrun --nproc-per-node=2 --max-restarts=3 train.py`` starts two of
    this one, and starts them again at the newest checkpoint if one of them ends too early::

        with process_group() as device:
            kept = Checkpoints("run", every=100, resume=True)
            fit(model, loss, optimizer, loader, epochs=20, device=device, checkpoints=kept)

    Parameters
    ----------
    device : str or torch.device, optional
        As in ``best_device``; under ``torchrun``, ``"cpu"`` keeps the processes off the GPUs.
    timeout : float, default 600.0
        Seconds for which a process waits for the others before it gives the job up. It must
        exceed the longest that one process works alone, on a checkpoint for example.

    Yields
    ------
    torch.device
        The device of this process: ``cuda:LOCAL_RANK`` or ``cpu``; without ``torchrun``,
        ``best_device(device)``.

    Raises
    ------
    ValueError
        If the environment is not as ``torchrun`` makes it, there are more processes than CUDA
        devices asked for, the device is not there, the timeout is not positive or there is a
        group already; the message gives what was found.
    RuntimeError
        If the processes do not come together; the message says where they should have.

    Notes
    -----
    A process that ends too early ends the job. One line on standard error says which one it was,
    after which step, and how to go on; all processes end with a status other than 0, and
    ``torchrun --max-restarts`` starts them again. An exception passes through the block in the
    process where it came about. ``torchrun`` adds lines of its own.

    A process that waits for its GPU cannot be told to end: ``torchrun`` kills it after 30 s.

    Examples
    --------
    >>> with process_group("cpu") as device:
    ...     print(device, process_count())
    cpu 1
    """
    if not timeout > 0:
        raise ValueError(f"expected a timeout above 0 seconds, got {timeout}")
    if not launched():
        yield best_device(device)
        return
    if dist.is_initialized():
        raise ValueError(
            f"expected no process group yet, got one of {process_count()}: let process_group make "
            "it, instead of init_process_group, and only once"
        )
    place = place_from_torchrun()
    own = own_device(device, place)
    threads = torch.get_num_threads()
    try:
        last_words = _join(place, own, timeout)
        with terminable():
            try:
                yield own
            except BaseException as error:
                last_words.end(error)
    except BaseException:
        if dist.group.WORLD is not None:
            dist.group.WORLD.abort()  # NCCL would wait for a process that has ended
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
        torch.set_num_threads(threads)


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
    >>> sum_over_processes(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    total = values.clone()
    if process_count() > 1:
        dist.all_reduce(total)
    return total


def any_process(flag: bool) -> bool:
    """Tell whether a flag is set in any process: the same answer in all of them.

    Parameters
    ----------
    flag : bool
        This process's flag.

    Returns
    -------
    bool
        True where at least one process has it set.

    Examples
    --------
    >>> any_process(False)
    False
    """
    return bool(sum_over_processes(torch.tensor(int(flag))))


def from_first(value: Value) -> Value:
    """Give the value that the first process has to all.

    Parameters
    ----------
    value : object
        What this process has; only that of rank 0 counts. It is pickled.

    Returns
    -------
    object
        What rank 0 has.

    Examples
    --------
    >>> from_first("resume at step 7")
    'resume at step 7'
    """
    box = [value]
    if process_count() > 1:
        dist.broadcast_object_list(box)
    return box[0]


def gather_to_first(value: Value) -> list[Value] | None:
    """Bring the values of all processes to the first.

    Parameters
    ----------
    value : object
        What this process has. It is pickled.

    Returns
    -------
    list of object or None
        In rank 0 the values in the order of the ranks, elsewhere None.

    Examples
    --------
    >>> gather_to_first("the state of my generators")
    ['the state of my generators']
    """
    if process_count() == 1:
        return [value]
    values = [value] * process_count() if rank() == 0 else None
    dist.gather_object(value, values)
    return values


def share_out(loader: Iterable[Batch]) -> Batches | None:
    """Let a loader yield this process's share of each batch from now on.

    The order is that of rank 0, so that the shares fit together whatever each process drew.

    Parameters
    ----------
    loader : iterable of tuple of Tensor
        As ``make_loader`` or ``loader_of`` makes it; where there is one process, any other too.

    Returns
    -------
    Batches or None
        What decides the loader's order; None where another kind of sampler does.

    Raises
    ------
    ValueError
        If there are several processes and the loader cannot be shared out, or has other batches
        than that of rank 0; the message says what it is.

    Notes
    -----
    PyTorch's ``DistributedSampler`` gives all processes shares of one length: where the data do
    not divide evenly it hands out some examples twice, which then count twice in every mean.

    Examples
    --------
    >>> import numpy as np
    >>> from dlbook.pytorch import make_loader
    >>> batches = share_out(make_loader(np.zeros((5, 2)), np.arange(5), batch_size=2))
    >>> list(batches)
    [[0, 1], [2, 3], [4]]
    """
    batches = sampler_of(loader)
    if batches is not None:
        if process_count() > 1:
            batches.load_state_dict(_agreed(batches))
        batches.share(rank(), process_count())
    elif process_count() > 1:
        raise ValueError(
            f"expected a loader that shares its batches out among {process_count()} processes, "
            f"as make_loader and loader_of make them, got a {type(loader).__name__} with an order "
            "of its own: each process would learn from, or count, examples that others have too"
        )
    return batches


def parallel(model: nn.Module) -> nn.Module:
    """Wrap a network so that backward averages its gradients over all processes.

    Parameters and buffers become those of rank 0.

    Parameters
    ----------
    model : nn.Module
        The network, on this process's device.

    Returns
    -------
    nn.Module
        The network itself where there is one process or ``shard`` has distributed it, else a
        wrapper that holds the same parameters.

    Notes
    -----
    What a layer computes from a whole batch, it computes from its share here: batch normalization
    takes mean and variance over the share (over all shares after
    ``nn.SyncBatchNorm.convert_sync_batchnorm``, on GPUs only), keeps the running ones of rank 0,
    and refuses a share with one value a channel. Dropout and augmentation draw in each process
    for itself: seed each with another number. With these a run differs from that of one process;
    without them it does not, but for the order in which numbers are added.

    Examples
    --------
    >>> model = nn.Linear(2, 1)
    >>> parallel(model) is model
    True
    """
    if process_count() == 1 or _is_sharded(model):
        return model
    return DistributedDataParallel(model)


def share_buffers(model: nn.Module) -> None:
    """Give all processes the buffers of the first: the running means of batch normalization.

    Parameters
    ----------
    model : nn.Module
        The network; its buffers are changed.

    Examples
    --------
    >>> share_buffers(nn.BatchNorm1d(2))
    """
    if process_count() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)


def synchronized(network: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Let processes exchange gradients in the backward pass only of a step's last batch.

    Parameters
    ----------
    network : nn.Module
        As ``parallel`` returned it, compiled or not.
    last : bool
        Whether this is the step's last batch.

    Returns
    -------
    context manager
        In it, forward and backward of one batch are to be computed.

    Examples
    --------
    >>> with synchronized(nn.Linear(2, 1), last=True):
    ...     pass
    """
    network = getattr(network, "_orig_mod", network)  # what torch.compile wrapped
    if _is_sharded(network):
        network.set_requires_gradient_sync(last)
    elif isinstance(network, DistributedDataParallel) and not last:
        return network.no_sync()
    return nullcontext()


def _join(place: Place, own: torch.device, timeout: float) -> LastWords:
    """Make the group, and give this process its device or its part of the cores."""
    if own.type == "cuda":
        torch.cuda.set_device(own)
    else:
        torch.set_num_threads(max(1, cores() // place.local_world))
    wait = timedelta(seconds=timeout)
    try:
        store, *_ = next(rendezvous("env://", timeout=wait))
        if place.local_world == place.world:
            # torchrun keeps its store when it starts processes again, with the addresses of those
            # before. On several machines it counts the starts of each for itself: no common name.
            store = PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT')}", store)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if own.type == "cuda" else "gloo",
            store=store,
            rank=place.rank,
            world_size=place.world,
            timeout=wait,
        )
        return LastWords(store, timeout)
    except RuntimeError as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise RuntimeError(
            f"expected {place.world} processes to meet at {where} within {timeout:g} s, but rank "
            f"{place.rank} did not reach all of them"
        ) from error


def _agreed(batches: Batches) -> dict[str, object]:
    """Return the sampler's state in rank 0, which must cut the same batches."""
    own = batches.state_dict()
    first = from_first(own)
    for name in own:
        if name != "seed" and own[name] != first[name]:
            raise ValueError(
                f"expected the same batches in all processes: {name} is {own[name]} in rank "
                f"{rank()} and {first[name]} in rank 0"
            )
    return first


def _is_sharded(model: nn.Module) -> TypeGuard[FSDPModule]:
    """Tell whether ``shard`` distributed a network. Only it pays for the import of its class."""
    return hasattr(model, "set_requires_gradient_sync")
