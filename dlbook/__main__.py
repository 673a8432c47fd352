"""Run the command line: ``python -m dlbook``."""

from __future__ import annotations

from dlbook.cli import main

if __name__ == "__main__":
    main()
