"""Run a program and say what is wrong with it: ``python -m dlbook.doctor train.py [arguments]``."""

from __future__ import annotations

import sys

from dlbook.doctor.discovery import diagnose_script


def main(argv: list[str]) -> int:
    """Run the program named first with the arguments behind it; print the report.

    Parameters
    ----------
    argv : list of str
        The program and its arguments.

    Returns
    -------
    int
        0 where nothing was found but notes, 1 where something was, 2 where there is no program.
    """
    from rich.console import Console

    if not argv:
        Console(stderr=True).print("usage: python -m dlbook.doctor PROGRAM.py [ARGUMENTS]")
        return 2
    try:
        report = diagnose_script(argv[0], argv[1:])
    except FileNotFoundError as error:
        Console(stderr=True).print(str(error))
        return 2
    Console().print(report)
    return int(bool(report))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
