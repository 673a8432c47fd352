"""Which device a run uses, and how batches get there: the code picks, the reader can override."""

from __future__ import annotations

import copy
import dataclasses
import os
import platform
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Number
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

__all__ = ["available_devices", "best_device", "describe", "move"]

VARIABLE = "DLBOOK_DEVICE"
GIB = 2**30
TENSORS: tuple[type[Any], ...] = (Tensor, PackedSequence)
NOTHING_TO_MOVE = (type(None), Number, np.generic, str, bytes)

Batch = TypeVar("Batch")


def available_devices() -> list[str]:
    """List the devices that this machine's PyTorch can use, best first.

    Returns
    -------
    list of str
        ``cuda`` and each ``cuda:0``, ``cuda:1``, … where there are NVIDIA (or ROCm) GPUs,
        ``mps`` on an Apple GPU, and always ``cpu``.

    Examples
    --------
    >>> available_devices()[-1]
    'cpu'
    """
    devices = ["cpu"]
    if torch.backends.mps.is_available():
        devices.insert(0, "mps")
    if torch.cuda.is_available():
        devices = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count())), *devices]
    return devices


def best_device(device: str | torch.device | None = None) -> torch.device:
    """Choose the device to run on.

    The first that speaks decides: the argument, then the environment variable ``DLBOOK_DEVICE``,
    then the machine: CUDA before MPS before CPU.

    Parameters
    ----------
    device : str or torch.device, optional
        One of ``available_devices()``; None or ``"auto"`` leaves the choice to the next.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ValueError
        If the device asked for is misspelt or not there; the message says who asked for it and
        lists what there is.

    Examples
    --------
    >>> best_device("cpu")
    device(type='cpu')
    """
    available = available_devices()
    for source, name in (
        ("argument", str(device or "auto")),
        (VARIABLE, os.environ.get(VARIABLE) or "auto"),
    ):
        if name == "auto":
            continue
        if name not in available:
            raise ValueError(
                f"device {name!r} ({source}) is not available: "
                f"this machine has {', '.join(available)}"
            )
        return torch.device(name)
    return torch.device(available[0])


def describe(device: str | torch.device | None = None) -> str:
    """Describe a device in one line, to be printed or kept with what was measured on it.

    Parameters
    ----------
    device : str or torch.device, optional
        As in ``best_device``.

    Returns
    -------
    str
        The device, its maker's name for it and its memory in GiB; then the compute capability of
        a CUDA device, the architecture of a ROCm device, and for a CPU the vector instructions
        and the number of threads that PyTorch uses.

    Raises
    ------
    ValueError
        As ``best_device``.

    Examples
    --------
    >>> describe("cpu")
    'cpu: ..., ... GiB, ..., ... thread...'
    """
    device = best_device(device)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        gpu = torch.cuda.get_device_properties(index)
        kind = gpu.gcnArchName if torch.version.hip else f"capability {gpu.major}.{gpu.minor}"
        return f"cuda:{index}: {gpu.name}, {_gib(gpu.total_memory)}, {kind}"
    if device.type == "mps":
        memory = torch.mps.recommended_max_memory()
        cores = torch.backends.mps.get_core_count()
        return f"mps: {torch.backends.mps.get_name()}, {_gib(memory)}, {cores} cores"
    name = torch.cpu.get_capabilities()["cpu_name"] or platform.machine()
    vectors = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    plural = "" if threads == 1 else "s"
    return f"cpu: {name}, {_gib(_memory())}, {vectors}, {threads} thread{plural}"


def _gib(memory: int | None) -> str:
    return "unknown memory" if memory is None else f"{memory / GIB:.1f} GiB"


def _memory() -> int | None:
    """Return the machine's memory in bytes, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def move(batch: Batch, device: str | torch.device, *, non_blocking: bool = False) -> Batch:
    """Return a batch with its tensors on a device; what came stays as it was.

    Tensors may stand in tuples, named tuples, lists, mappings and dataclasses, nested as deep as
    need be, and come back in the same types. None, numbers and text are left as they are. Any
    other object is moved by its own method ``to(device)``, called on a shallow copy of it.

    Parameters
    ----------
    batch : object
        What a loader yields: a Tensor, or tensors in containers.
    device : str or torch.device
        Where to.
    non_blocking : bool, default False
        Do not wait for copies from pinned memory to a GPU. Work that is given to the GPU later
        finds them done.

    Returns
    -------
    object
        The batch, of the type that came. A tensor that is there already is not copied.

    Raises
    ------
    TypeError
        If there is a module in the batch, which moves in place and hence by ``model.to(device)``,
        or an object that nothing can move, such as an ndarray; the message gives its type.

    Notes
    -----
    ``X.to(device)`` on a line of its own moves nothing: it returns what was moved, as this
    function does. Modules alone move in place.

    Examples
    --------
    >>> batch = {"X": torch.zeros(2, 3), "names": ["a", "b"]}
    >>> moved = move(batch, "meta")  # a device without memory, there for shapes alone
    >>> moved["X"].device, moved["names"], batch["X"].device
    (device(type='meta'), ['a', 'b'], device(type='cpu'))
    """
    return cast(Batch, _move(batch, torch.device(device), non_blocking))


def _move(batch: Any, device: torch.device, non_blocking: bool) -> Any:
    onto = partial(_move, device=device, non_blocking=non_blocking)
    if isinstance(batch, TENSORS):
        return batch.to(device, non_blocking=non_blocking)
    if isinstance(batch, NOTHING_TO_MOVE):
        return batch
    if isinstance(batch, nn.Module):
        raise TypeError("a module is no batch and moves in place: use model.to(device)")
    if isinstance(batch, Mapping):
        return _moved_mapping(batch, onto)
    if isinstance(batch, tuple) and hasattr(batch, "_make"):  # a named tuple
        return batch._make(map(onto, batch))
    if isinstance(batch, tuple | list):
        return type(batch)(map(onto, batch))
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        return _moved_dataclass(batch, onto)
    return _moved_by_itself(batch, device)


def _moved_mapping(batch: Mapping[Any, Any], onto: Callable[[Any], Any]) -> Any:
    values = {key: onto(value) for key, value in batch.items()}
    if not isinstance(batch, dict):
        return type(batch)(values)  # type: ignore[call-arg]  # as UserDict and MappingProxyType
    moved = copy.copy(batch)  # so that a defaultdict keeps its default
    moved.update(values)
    return moved


def _moved_dataclass(batch: Any, onto: Callable[[Any], Any]) -> Any:
    moved = copy.copy(batch)  # replace() would run __post_init__ a second time
    for field in dataclasses.fields(batch):
        object.__setattr__(moved, field.name, onto(getattr(batch, field.name)))  # frozen or not
    return moved


def _moved_by_itself(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, type) or not hasattr(batch, "to"):
        raise TypeError(
            f"expected tensors, alone or in tuples, lists, mappings and dataclasses, got "
            f"{_kind(batch)}: turn it into a tensor, or give it a method to(device)"
        )
    moved = copy.copy(batch).to(device)  # a copy, for a method that changes its own object
    if moved is None:
        raise TypeError(f"expected {_kind(batch)}.to(device) to return what it moved, got None")
    return moved


def _kind(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"
