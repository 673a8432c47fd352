"""Writing files so that an interruption never leaves half of one."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING, ClassVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Lock", "write_atomically"]


def write_atomically(
    path: str | Path, content: str | bytes | memoryview, *, durably: bool = False
) -> None:
    r"""Write a file under a temporary name beside it, then rename it into place.

    A reader sees the old file or the new one, never a part of either.

    Parameters
    ----------
    path : str or Path
        The file to write; its folder must exist.
    content : str, bytes or memoryview
        Text is encoded as UTF-8, and its line ends are written as they stand.
    durably : bool, default False
        Wait until the disk has the content, and then its name: so that a power cut cannot leave
        the name of a file whose content was never written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/note.txt", "kept\n")
    ...     Path(folder, "note.txt").read_text()
    'kept\n'
    """
    from pathlib import Path  # here, so that importing the package does not wait for it

    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if durably:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
        if durably:
            _sync_folder(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders, and keeps names in its journal
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Lock:
    """A file that one holder at a time can lock; the lock of a process that dies is free at once.

    Parameters
    ----------
    path : str or Path
        The file to lock; it is made where it is missing, holds the process's number, and stays
        when the lock is released.

    Raises
    ------
    BlockingIOError
        If it is locked already; the message gives the process that did.
    OSError
        If the file cannot be opened, or the file system has no locks.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     lock = Lock(f"{folder}/lock")
    ...     try:
    ...         Lock(f"{folder}/lock")
    ...     except BlockingIOError:
    ...         print("taken")
    ...     lock.release()
    taken
    """

    _held: ClassVar[WeakValueDictionary[Path, Lock]] = WeakValueDictionary()

    def __init__(self, path: str | Path) -> None:
        from pathlib import Path  # as above

        self.path = Path(path).resolve()
        # The system's lock keeps out other processes. It belongs to the process, so that workers
        # forked from it do not hold it when it dies, and so it does not keep out a second holder
        # in the same process: the class does.
        if self.path in self._held:
            raise BlockingIOError(f"{path} is locked by this process already")
        self._file = self.path.open("a+b")
        try:
            _lock(self._file)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().decode(errors="replace") or "unknown"
            self._file.close()
            if not isinstance(error, BlockingIOError | PermissionError):
                raise  # a file system that has no locks
            raise BlockingIOError(f"{path} is locked by process {holder}") from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()).encode())
        self._file.flush()
        self._held[self.path] = self

    def release(self) -> None:
        """Let others lock the file."""
        self._held.pop(self.path, None)
        self._file.close()


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        file.seek(2**30)  # beyond the content, which another process may want to read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
