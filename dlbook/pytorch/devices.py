"""Which device a run uses: the code picks, and the reader can override it."""

from __future__ import annotations

import os

import torch

__all__ = ["available_devices", "best_device"]

VARIABLE = "DLBOOK_DEVICE"


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
