"""Run a program and say what is wrong with it: ``python -m dlbook.doctor train.py [arguments]``.

The same as ``dlbook doctor train.py [arguments]``.
"""

from __future__ import annotations

import sys

from dlbook.cli import main

if __name__ == "__main__":
    main(["doctor", *sys.argv[1:]])
