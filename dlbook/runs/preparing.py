"""What is looked at before a run starts: its folders, and the run that it goes on with."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

from dlbook.history import History, Setting
from dlbook.runs.folder import HISTORY, OUTPUTS
from dlbook.tasks import PyTorchOptions

__all__ = ["obstacle"]

MAY_CHANGE = ("epochs", "device", "compile", "processes")  # between the parts of one run


def obstacle(
    settings: Mapping[str, Setting], folder: Path, pytorch: PyTorchOptions, *, force: bool
) -> str | None:
    """Say what keeps a run from starting; make its folders if nothing does.

    In a group of processes, the first one looks and makes, and all get its answer.

    Parameters
    ----------
    settings : mapping of str to JSON scalar or list
        As ``settings`` returns them.
    folder : Path
        Where the results are to go.
    pytorch : PyTorchOptions
        Whether and where the run is kept, and whether it goes on.
    force : bool
        Let the files of an earlier run be replaced.

    Returns
    -------
    str or None
        One line; None if the run can start.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from dlbook.runs import settings
    >>> from dlbook.tasks import TASKS
    >>> asked = settings("moons", "numpy", TASKS["moons"].options(), PyTorchOptions())
    >>> with TemporaryDirectory() as name:
    ...     print(obstacle(asked, Path(name, "new"), PyTorchOptions(), force=False))
    ...     _ = Path(name, "history.json").write_text("an earlier run's")
    ...     print(obstacle(asked, Path(name), PyTorchOptions(), force=False))
    None
    ... holds history.json of an earlier run: choose another --out, or replace them with --force
    """
    if settings["backend"] == "numpy":
        return _obstacle(settings, folder, pytorch, force)
    from dlbook.pytorch.distributed import from_first, rank

    return from_first(_obstacle(settings, folder, pytorch, force) if rank() == 0 else None)


def _obstacle(
    settings: Mapping[str, Setting], folder: Path, pytorch: PyTorchOptions, force: bool
) -> str | None:
    kept = pytorch.checkpoint
    try:
        if kept is not None:
            _check_checkpoints(settings, kept, pytorch.resume)
        if not (force or (pytorch.resume and _is_of_run(settings, folder / HISTORY))):
            _check_unused(folder)
        for needed in (folder,) if kept is None else (kept, folder):
            _make(needed)
    except ValueError as error:
        return str(error)
    return None


def _check_unused(folder: Path) -> None:
    """Refuse to replace the files of an earlier run."""
    earlier = [name for name in OUTPUTS if (folder / name).exists()]
    if earlier:
        raise ValueError(
            f"{folder} holds {', '.join(earlier)} of an earlier run: "
            "choose another --out, or replace them with --force"
        )


def _make(folder: Path) -> None:
    """Make a folder unless it is there, and see that files may be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror}") from error


def _check_checkpoints(settings: Mapping[str, Setting], folder: Path, resume: bool) -> None:
    """Refuse to start over a run that was kept, and to go on with another run than asked for."""
    from dlbook.pytorch import Checkpoints, read_checkpoint

    files = Checkpoints(folder).files()
    if files and not resume:
        raise ValueError(
            f"{folder} holds checkpoints, the newest {files[0].name}: "
            "go on with --resume, or choose another --checkpoint"
        )
    with warnings.catch_warnings(action="ignore"):  # the run itself says which files are unsound
        path = Checkpoints(folder).latest()
    if path is None:
        return
    history = read_checkpoint(path)["run"]["history"]
    changed = _differences(history["settings"], settings)
    if changed:
        raise ValueError(f"{path} is of another run: {'; '.join(changed)}")
    done, wanted = len(history["epochs"]), settings["epochs"]
    if isinstance(wanted, int) and done > wanted:
        raise ValueError(f"{path} has {done} epochs behind it: --epochs {wanted} is fewer")


def _is_of_run(settings: Mapping[str, Setting], record: Path) -> bool:
    """Tell whether a record is that of the run's earlier part."""
    try:
        return not _differences(History.load(record).settings, settings)
    except (OSError, ValueError):
        return False


def _differences(earlier: Mapping[str, Setting], settings: Mapping[str, Setting]) -> list[str]:
    """Name each setting that was another."""
    return [
        f"--{name.replace('_', '-')} was {_shown(earlier.get(name, 'not recorded'))}, "
        f"now it is {_shown(value)}"
        for name, value in settings.items()
        if name not in MAY_CHANGE and (name not in earlier or earlier[name] != value)
    ]


def _shown(value: Setting) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or '""'
    return str(value)
