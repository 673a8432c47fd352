"""Writing files so that an interruption never leaves half of one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_atomically"]


def write_atomically(path: str | Path, content: str | bytes) -> None:
    r"""Write a file under a temporary name beside it, then rename it into place.

    A reader sees the old file or the new one, never a part of either.

    Parameters
    ----------
    path : str or Path
        The file to write; its folder must exist.
    content : str or bytes
        Text is encoded as UTF-8, and its line ends are written as they stand.

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
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
