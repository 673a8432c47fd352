"""Runs that can be repeated: seeds, deterministic operations, and the states of all generators."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import index
from typing import Any

import numpy as np
import torch

__all__ = ["deterministic", "generators_state", "seed_all", "set_generators_state"]

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
CUBLAS_DETERMINISTIC = (":4096:8", ":16:8")
KINDS = ("torch", "cuda", "mps", "numpy", "python")


def seed_all(seed: int) -> torch.Generator:
    """Seed every generator that code may draw from unasked, and return one to draw from by name.

    Seeded are PyTorch's generators on the CPU and on all devices, NumPy's old global generator and
    that of Python's ``random``.

    Parameters
    ----------
    seed : int
        From 0 to 2³² - 1, as NumPy's old generator takes it.

    Returns
    -------
    torch.Generator
        A new generator on the CPU, seeded likewise.

    Raises
    ------
    ValueError
        If the seed is out of range; the message gives it. Nothing has been seeded then.
    TypeError
        If the seed is not a whole number.

    Notes
    -----
    Prefer the generator that is returned, and NumPy's ``default_rng(seed)``: who draws from them
    stands in the code, while anything may draw from a global one. It is not shared: it and
    PyTorch's global generator draw the same numbers, each for itself.

    Examples
    --------
    >>> first = torch.randn(2, generator=seed_all(7))
    >>> second = torch.randn(2, generator=seed_all(7))
    >>> torch.equal(first, second)
    True
    """
    if not 0 <= index(seed) < 2**32:
        raise ValueError(f"expected a seed from 0 to {2**32 - 1}, got {seed}")
    torch.manual_seed(seed)  # the CPU's, and those of all devices
    np.random.seed(seed)  # noqa: NPY002  # other people's code draws from it
    random.seed(seed)
    return torch.Generator().manual_seed(seed)


@contextmanager
def deterministic(enabled: bool = True) -> Iterator[None]:
    """Use only operations that give the same bits each time; afterwards, what was used before.

    PyTorch's operations are told to be deterministic or to raise, cuDNN picks its algorithms by
    rule instead of by timing them, and cuBLAS gets the workspace that it needs for it.

    Parameters
    ----------
    enabled : bool, default True
        False allows what is not deterministic, as inside of a ``with deterministic():``.

    Raises
    ------
    RuntimeError
        If CUDA has started without ``CUBLAS_WORKSPACE_CONFIG``, which cuBLAS reads once; the
        message says how to set it. Inside, an operation that has no deterministic implementation
        raises it, and names itself.

    Notes
    -----
    ``CUBLAS_WORKSPACE_CONFIG`` stays set, since cuBLAS will not read it again. The same bits come
    on the same machine with the same versions and number of threads; others may round otherwise.

    Examples
    --------
    >>> with deterministic():
    ...     torch.are_deterministic_algorithms_enabled()
    True
    >>> torch.are_deterministic_algorithms_enabled()
    False
    """
    if enabled and torch.cuda.is_available():
        _fix_cublas_workspace()
    before = torch.are_deterministic_algorithms_enabled()
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn
    chosen_by_rule, timed = cudnn.deterministic, cudnn.benchmark
    try:
        torch.use_deterministic_algorithms(enabled)
        cudnn.deterministic = enabled
        cudnn.benchmark = timed and not enabled
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned_only)
        cudnn.deterministic, cudnn.benchmark = chosen_by_rule, timed


def _fix_cublas_workspace() -> None:
    if os.environ.get(CUBLAS) in CUBLAS_DETERMINISTIC:
        return
    if _cuda_in_use():
        raise RuntimeError(
            f"CUDA has started with {CUBLAS}={os.environ.get(CUBLAS, '')}, expected "
            f"{' or '.join(CUBLAS_DETERMINISTIC)}: enter `with deterministic():` before anything "
            f"is done on the GPU, or start Python with {CUBLAS}={CUBLAS_DETERMINISTIC[0]}"
        )
    os.environ[CUBLAS] = CUBLAS_DETERMINISTIC[0]


def generators_state() -> dict[str, Any]:
    """Return the states of all global generators as plain values.

    Returns
    -------
    dict of str to object
        ``torch``, ``cuda`` (one state a device, none where CUDA was not used yet), ``mps`` (None
        without one), ``numpy`` and ``python``, each a tensor or made of numbers and text, so that
        ``torch.load`` reads them with ``weights_only=True``.

    Notes
    -----
    A generator that you made yourself keeps its own: ``generator.get_state()``.

    Examples
    --------
    >>> state = generators_state()
    >>> first = torch.randn(2)
    >>> set_generators_state(state)
    >>> torch.equal(torch.randn(2), first)
    True
    """
    numpy: Any = np.random.get_state()  # noqa: NPY002  # other people's code draws from it
    name, key, *place = numpy
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if _cuda_in_use() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "numpy": (name, key.tolist(), *place),
        "python": random.getstate(),
    }


def set_generators_state(state: Mapping[str, Any]) -> None:
    """Restore all global generators, so that they go on with the draws that would have come.

    Parameters
    ----------
    state : mapping of str to object
        What ``generators_state`` returned.

    Raises
    ------
    ValueError
        If a part is missing or damaged, or was kept on devices that are not here; the message
        says which. No generator has been changed then.

    Examples
    --------
    >>> state = generators_state()
    >>> first = np.random.random()
    >>> set_generators_state(state)
    >>> np.random.random() == first
    True
    """
    missing = [kind for kind in KINDS if kind not in state]
    if missing:
        raise ValueError(f"expected the states of {', '.join(KINDS)}, got no {', '.join(missing)}")
    _check_devices(state)
    before = generators_state()
    try:
        _set(state)
    except Exception as error:  # each generator has kinds of its own
        _set(before)
        raise ValueError(f"the generators' state is damaged: {error}") from error


def _cuda_in_use() -> bool:
    """Tell whether CUDA has started, without starting it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _check_devices(state: Mapping[str, Any]) -> None:
    wanted = len(state["cuda"] or [])
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted > there:
        raise ValueError(
            f"the state holds the generators of {wanted} CUDA devices, this machine has {there}: "
            'set state["cuda"] to [] to go on with other draws'
        )
    if state["mps"] is not None and not torch.backends.mps.is_available():
        raise ValueError(
            "the state holds the generator of an MPS device, this machine has none: "
            'set state["mps"] to None to go on with other draws'
        )


def _set(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"]:
        # A seed that waits for CUDA to start would undo a state that is set before.
        torch.cuda.init()  # type: ignore[no-untyped-call]
        torch.cuda.set_rng_state_all([device.cpu() for device in state["cuda"]])
    if state["mps"] is not None:
        torch.mps.set_rng_state(state["mps"].cpu())
    np.random.set_state(state["numpy"])  # noqa: NPY002  # as above
    random.setstate(state["python"])
