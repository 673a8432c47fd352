"""What a job of several processes says when one of them ends too early: one line, once."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from types import FrameType
from typing import NoReturn
from uuid import uuid4

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

__all__ = ["LastWords", "Terminated", "noting", "terminable"]

PATIENCE = 5.0  # seconds in which a process that lives should have noticed that another has ended


class Terminated(SystemExit):
    """What SIGTERM raises; ``torchrun`` sends it when another process failed or all must end."""


class LastWords:
    """Says why a job ends: whichever of its processes gets to it first, and no other.

    All processes make one together, each of its own.

    Parameters
    ----------
    store : torch.distributed.Store
        Where processes can leave each other word when the group itself no longer works.
    timeout : float
        Seconds after which the group gives a process up.
    """

    def __init__(self, store: Store, timeout: float) -> None:
        self.rank, self.world, self.timeout = dist.get_rank(), dist.get_world_size(), timeout
        self.processes: list[tuple[str, int, str]] = [("", 0, "")] * self.world
        dist.all_gather_object(self.processes, (socket.gethostname(), os.getpid(), uuid4().hex))
        # torchrun keeps its store when it starts the processes again: each job has its own names.
        self.store = PrefixStore(self.processes[0][2], store)

    def end(self, error: BaseException) -> NoReturn:
        """Say why the job ends, unless another process did, and end this one.

        Parameters
        ----------
        error : BaseException
            What this process met. It is raised again where it came about here; where it only
            follows from another's end, or another has spoken, ``SystemExit(1)`` is.
        """
        asked_to_end = isinstance(error, KeyboardInterrupt | SystemExit)
        if isinstance(error, Terminated) or _comes_from_another(error):
            if self._is_first("here"):
                self._say(self._what_others_did(error), error)
        elif self._is_first():
            if not asked_to_end:
                cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                self._say(f"rank {self.rank} of {self.world} failed: {cause}", error)
                get_error_handler().record_exception(error)  # torchrun's summary shows it
            raise error
        elif asked_to_end:
            raise error
        raise SystemExit(1) from error

    def _is_first(self, *marks: str) -> bool:
        """Tell whether no other process has spoken; leave marks for the others first."""
        try:
            for mark in marks:
                self.store.set(f"{mark}/{self.rank}", "")
            return self.store.add("spoken", 1) == 1
        except RuntimeError:  # the store is gone with the process that held it
            return True

    def _what_others_did(self, error: BaseException) -> str:
        silent = self._silent()
        if not silent:
            return "all processes were told to end (SIGTERM)"
        who = f"rank {', '.join(map(str, silent))} of {self.world}"
        if "imed out" in str(error):
            return f"{who} did not answer for {self.timeout:g} s"
        return f"{who} ended without a word (killed, or out of memory?)"

    def _silent(self) -> list[int]:
        """List the processes that do not notice that the job is at its end."""
        silent = [rank for rank in range(self.world) if rank != self.rank]
        deadline = monotonic() + PATIENCE
        while True:
            try:
                silent = [rank for rank in silent if not self.store.check([f"here/{rank}"])]
            except RuntimeError:
                return [0]  # without torchrun, rank 0 holds the store
            if all(self._is_gone(rank) for rank in silent) or monotonic() > deadline:
                return silent
            sleep(0.05)

    def _is_gone(self, rank: int) -> bool:
        """Tell whether a process is known to have ended."""
        host, pid, _ = self.processes[rank]
        if host != self.processes[self.rank][0]:
            return False
        try:
            os.kill(pid, 0)  # sends nothing
        except OSError:
            return True
        return False

    def _say(self, what: str, error: BaseException) -> None:
        sentence = "; ".join([what, *_notes(error)])
        sys.stderr.write(f"dlbook: {' '.join(sentence.split())}\n")
        sys.stderr.flush()


@contextmanager
def noting(where: Callable[[], str]) -> Iterator[None]:
    """Add to an error that passes where the run stood.

    Parameters
    ----------
    where : callable
        Returns a line; it is called only if there is an error.

    Examples
    --------
    >>> try:
    ...     with noting(lambda: "stopped after step 7"):
    ...         raise ValueError("no such class: 10")
    ... except ValueError as error:
    ...     print(error.__notes__)
    ['stopped after step 7']
    """
    try:
        yield
    except BaseException as error:
        error.add_note(where())
        raise


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise ``Terminated``, so that a process can say where it stood.

    It can do so once: what is done about the first is not interrupted by a second.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets no other thread handle signals
        return
    earlier = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  # Python's order
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated(128 + number)


def _comes_from_another(error: BaseException) -> bool:
    """Tell whether an error is that of a collective. Gloo has no class of its own for it."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and "gloo" in str(error)
    )


def _notes(error: BaseException | None) -> list[str]:
    """Return the notes of an error, or of the one during whose handling it came about."""
    while error is not None:
        if notes := getattr(error, "__notes__", None):
            return list(notes)
        error = error.__context__
    return []
