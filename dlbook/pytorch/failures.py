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

PATIENCE = 5.0  # seconds in which all should have noticed that one has ended, or does not answer


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
        _let_signals_pass()  # which torchrun sends to all as soon as one process has ended
        speaker = self._speaker()
        if isinstance(error, KeyboardInterrupt | SystemExit) and not isinstance(error, Terminated):
            raise error
        if speaker != self.rank:
            # torchrun takes the process that ends first for the one that failed.
            _wait(lambda: self._is_gone(speaker))
        elif _is_told_to_end(error) or _comes_from_another(error):
            self._say(self._what_others_did(error), error)
        else:
            cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._say(f"rank {self.rank} of {self.world} failed: {cause}", error)
            get_error_handler().record_exception(error)  # torchrun's summary shows it
            raise error
        raise SystemExit(1) from error

    def _speaker(self) -> int:
        """Note that this process has met an error; return which one was the first to do so."""
        try:
            self.store.set(f"stopped/{self.rank}", "")
            return int(self.store.compare_set("speaker", "", str(self.rank)))
        except RuntimeError:  # the store is gone with the process that held it
            return self.rank

    def _what_others_did(self, error: BaseException) -> str:
        others = [rank for rank in range(self.world) if rank != self.rank]
        if not _is_told_to_end(error):
            _wait(lambda: any(map(self._is_gone, others)) or not self._silent(others))
        who = [rank for rank in others if self._is_gone(rank)]
        what = "ended without a word (killed, or out of memory?)"
        if not who and _is_told_to_end(error):
            return f"rank {self.rank} of {self.world} was told to end (SIGTERM)"
        if not who:
            who = self._silent(others) or others
            if "imed out" in str(error):
                what = f"did not answer for {self.timeout:g} s"
        return f"rank {' or '.join(map(str, who))} of {self.world} {what}"

    def _silent(self, ranks: list[int]) -> list[int]:
        """Return those of some processes that have met no error."""
        try:
            return [rank for rank in ranks if not self.store.check([f"stopped/{rank}"])]
        except RuntimeError:
            return [0]  # without torchrun, rank 0 holds the store

    def _is_gone(self, rank: int) -> bool:
        """Tell whether a process is known to have ended: of one elsewhere, this is never known."""
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
    _let_signals_pass()
    raise Terminated(128 + number)


def _let_signals_pass() -> None:
    """Let neither another SIGTERM nor the end of a loader's worker raise anything from now on."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if hasattr(signal, "SIGCHLD"):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _is_told_to_end(error: BaseException) -> bool:
    """Tell whether SIGTERM ended this process, or a worker of its loader, which gets it too."""
    return isinstance(error, Terminated) or "killed by signal: Terminated" in str(error)


def _wait(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, but not for long."""
    deadline = monotonic() + PATIENCE
    while not condition() and monotonic() < deadline:
        sleep(0.02)


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
