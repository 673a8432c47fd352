"""Where a process stands among others: what torchrun says of it, and which device is its own."""

from __future__ import annotations

import os
from typing import NamedTuple

import torch

from dlbook.pytorch.devices import best_device

__all__ = ["Place", "cores", "launched", "own_device", "place_from_torchrun"]

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
OWN_VARIABLES = VARIABLES[:3]  # the other two, clusters also set for other purposes


def launched() -> bool:
    """Tell whether ``torchrun`` started this process, as one of several or the only one.

    Returns
    -------
    bool
        True where the environment has ``RANK``, ``WORLD_SIZE`` or ``LOCAL_RANK``.

    Examples
    --------
    >>> launched()
    False
    """
    return any(name in os.environ for name in OWN_VARIABLES)


class Place(NamedTuple):
    """Where a process stands: in the job and on its machine.

    Attributes
    ----------
    rank, world : int
        Its number among all processes, from 0, and how many there are.
    local_rank, local_world : int
        The same among those of its machine.
    """

    rank: int
    world: int
    local_rank: int
    local_world: int


def place_from_torchrun() -> Place:
    """Read from the environment where this process stands.

    Returns
    -------
    Place
        The numbers that ``torchrun`` gave.

    Raises
    ------
    ValueError
        If a variable is missing or cannot be; the message gives all.
    """
    found = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    shown = ", ".join(f"{name}={value}" for name, value in found.items())
    remedy = f"start with torchrun, or unset {', '.join(OWN_VARIABLES)} to run one process"
    if missing := [name for name in VARIABLES if name not in found]:
        raise ValueError(
            f"expected torchrun's {', '.join(VARIABLES)} in the environment, got "
            f"{shown or 'none'}, without {', '.join(missing)}: {remedy}"
        )
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
    try:
        number, world, local, port = (int(found[name]) for name in names)
        neighbors = int(os.environ.get("LOCAL_WORLD_SIZE") or world)
    except ValueError:
        raise ValueError(f"expected whole numbers from torchrun, got {shown}: {remedy}") from None
    if not (0 <= number < world and 0 <= local < neighbors <= world and 0 < port < 2**16):
        raise ValueError(
            "expected ranks from 0 up to below the number of processes and a port below 65536, "
            f"got {shown} with {neighbors} on this machine: {remedy}"
        )
    return Place(number, world, local, neighbors)


def own_device(device: str | torch.device | None, place: Place) -> torch.device:
    """Choose the device of one of several processes.

    Parameters
    ----------
    device : str or torch.device or None
        As in ``best_device``; with a number too it only says of which kind.
    place : Place
        Where the process stands.

    Returns
    -------
    torch.device
        The CUDA device of its number, where each process of the machine can have one; or the CPU.

    Raises
    ------
    ValueError
        If a kind of device is asked for of which there are too few; the message gives how many.

    Examples
    --------
    >>> own_device("cpu", Place(rank=5, world=8, local_rank=1, local_world=4))
    device(type='cpu')
    """
    asked = device not in (None, "auto")
    kind = best_device(device).type
    devices = torch.cuda.device_count() if kind == "cuda" else 0
    if devices >= place.local_world:
        return torch.device("cuda", place.local_rank)
    if asked and kind != "cpu":
        raise ValueError(
            f"expected a device of its own for each of {place.local_world} processes, got {device} "
            f"with {devices} CUDA devices: start fewer processes, or ask for the CPU"
        )
    return torch.device("cpu")


def cores() -> int:
    """Return how many cores this process may use.

    Returns
    -------
    int
        At least 1; what a container or ``taskset`` leaves, where the system tells.

    Examples
    --------
    >>> cores() > 0
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
