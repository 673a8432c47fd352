"""Running a program as it stands, with the doctor watching."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import FileLoader
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, cast

from dlbook.doctor.discovery import watch_everything
from dlbook.doctor.findings import Report

__all__ = ["diagnose_script", "run_watched", "show_ending"]

MAIN = ("__main__", "__mp_main__")  # the second name is that by which worker processes know it


def diagnose_script(
    path: str | Path, arguments: Sequence[str] = (), *, ignore: Collection[str] = ()
) -> Report:
    """Run a program as it stands, and say what is wrong with it.

    Parameters
    ----------
    path : str or Path
        The program.
    arguments : sequence of str, optional
        What it finds in ``sys.argv`` behind its name.
    ignore : collection of str, optional
        Codes of findings that are not to be reported.

    Returns
    -------
    Report
        The findings, also where the program raised.

    Raises
    ------
    FileNotFoundError
        If there is no such program.
    """
    return run_watched(path, arguments, ignore=ignore).report()


def run_watched(
    program: str | Path,
    arguments: Sequence[str] = (),
    *,
    module: bool = False,
    every: int = 10,
    ignore: Collection[str] = (),
) -> watch_everything:
    """Run a program as it stands, and return what watched it.

    It finds its own name in ``__name__``, ``__file__`` and ``sys.argv``, its neighbors where it
    looks for them, and itself as ``sys.modules["__main__"]``, as if Python had started it.

    Parameters
    ----------
    program : str or Path
        The program: a file, or the name of a module.
    arguments : sequence of str, optional
        What it finds in ``sys.argv`` behind its name.
    module : bool, default False
        Whether ``program`` names a module, as behind ``python -m``.
    every : int, default 10
        After its first rounds, one round in so many is looked at closely.
    ignore : collection of str, optional
        Codes of findings that are not to be reported.

    Returns
    -------
    watch_everything
        Its ``report()`` tells what was found, its ``record.error`` what ended the program: None
        where it ran to its end.

    Raises
    ------
    FileNotFoundError
        If there is no such program.
    """
    watcher = watch_everything(every=every, ignore=ignore)
    folder = Path.cwd() if module else Path(program).resolve().parent
    with _restored():
        sys.path.insert(0, str(folder))
        main, code = _module(str(program)) if module else _file(Path(program))
        sys.argv = [str(main.__file__ if module else program), *arguments]
        sys.modules.update(dict.fromkeys(MAIN, main))
        try:
            with watcher:
                exec(code(), vars(main))
        except (Exception, SystemExit, KeyboardInterrupt):
            pass  # what it raised is in the record
    return watcher


def show_ending(error: BaseException | None) -> None:
    """Write what Python would write of an exception that ended a program.

    Parameters
    ----------
    error : BaseException or None
        What the program raised; None where it ran to its end.
    """
    if isinstance(error, SystemExit):
        if error.code is not None and not isinstance(error.code, int):
            sys.stderr.write(f"{error.code}\n")
    elif error is not None:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals.get("__name__") != "__main__":
            trace = trace.tb_next
        trace = _without_doctor(trace)
        sys.excepthook(type(error), error.with_traceback(trace), trace)


def _without_doctor(trace: TracebackType | None) -> TracebackType | None:
    """Leave out the doctor's own calls, which stand between those of the program."""
    calls = []
    while trace is not None:
        calls.append(trace)
        trace = trace.tb_next
    for call in reversed(calls):
        if Path(call.tb_frame.f_code.co_filename).parent != Path(__file__).parent:
            trace = TracebackType(trace, call.tb_frame, call.tb_lasti, call.tb_lineno)
    return trace


def _file(path: Path) -> tuple[ModuleType, Callable[[], Any]]:
    """Make the module that Python makes of a file that it is to run; its code comes later."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no program {path}")
    main, name = ModuleType("__main__"), str(path.absolute())
    main.__file__, main.__loader__ = name, SourceFileLoader("__main__", name)
    return main, lambda: compile(path.read_bytes(), name, "exec", dont_inherit=True)


def _module(name: str) -> tuple[ModuleType, Callable[[], Any]]:
    """Make the module that Python makes of another one that it is to run, as behind ``-m``."""
    spec = _spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name = f"{name}.__main__"  # what a package runs
        spec = _spec(name)
    if spec is None or not isinstance(spec.loader, FileLoader):
        raise FileNotFoundError(f"there is no module {name}")
    main, loader = ModuleType("__main__"), cast("SourceFileLoader", spec.loader)
    main.__file__ = spec.origin
    main.__spec__, main.__loader__, main.__package__ = spec, loader, spec.parent
    return main, lambda: loader.get_code(name)


def _spec(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return None
        raise
    except (ImportError, ValueError):  # a name that no module can have
        return None


@contextmanager
def _restored() -> Iterator[None]:
    """Put back what a program finds of its start."""
    argv, search = sys.argv, sys.path[:]
    mains = {name: sys.modules[name] for name in MAIN if name in sys.modules}
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, search
        sys.modules.update(mains)
