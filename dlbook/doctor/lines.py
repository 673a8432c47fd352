"""Where in the reader's code something happened."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import FrameType

import torch

__all__ = ["line_of_reader"]

FOREIGN = (str(Path(__file__).parent), str(Path(torch.__file__).parent), contextlib.__file__, "<")


def line_of_reader() -> str:
    """Return file and line of the innermost frame that is neither PyTorch's nor the doctor's.

    Returns
    -------
    str
        As ``"train.py:12"``; empty where there is none.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(FOREIGN):
        frame = frame.f_back
    return "" if frame is None else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
