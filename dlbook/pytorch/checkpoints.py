"""Checkpoints of a training run: written whole or not at all, refused when they are not sound."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import nn

from dlbook.files import Lock
from dlbook.pytorch.checkpoint_files import (
    CheckpointError,
    check_plain,
    read_checkpoint,
    write_checkpoint,
)
from dlbook.pytorch.differences import differences, differences_of_models
from dlbook.pytorch.distributed import any_process, from_first, rank
from dlbook.pytorch.state import Run

__all__ = ["Checkpoints", "load_weights"]

NAME = re.compile(r"step-(\d{8,})\.pt")


class Checkpoints:
    """A folder that keeps a run, so that it can go on after an interruption.

    A checkpoint is kept after each epoch, and in between if ``every`` says so. It is everything
    that the run is: parameters, optimizer, schedule, scaler, generators, order and place of the
    batches, sums, history. A run that goes on ends with the same bits as one that was never
    interrupted.

    Each is a file ``step-00000120.pt``, written under another name, flushed to the disk, and then
    renamed: there is no moment at which a file of that name is incomplete. It is read with
    ``weights_only=True``, so that opening it can run no code.

    Parameters
    ----------
    folder : str or Path
        Where the files are. It is made when the run starts.
    every : int, optional
        Keep the run after every so many steps of the optimizer too.
    keep : int, default 3
        How many of the last checkpoints stay. The one with the lowest validation loss at the end
        of an epoch stays as well.
    resume : bool, default False
        Go on at the newest sound checkpoint. Where there are no checkpoints yet the run starts
        from the beginning, so the same program can be started again and again until it is done.

    Raises
    ------
    ValueError
        If ``every`` or ``keep`` is below 1; the message gives it.

    Notes
    -----
    The same bits need the same program: data, code, options of ``fit``, number of threads and
    versions; on a GPU also ``deterministic``.

    With Adam a checkpoint is about three times as large as the network, with ``patience`` four
    times, for the best parameters are in it. One is written while training waits.

    One run at a time can write to a folder; a lock that a killed process had is free at once.

    In a group of processes the first writes, and all read the file that it chose. Another number
    of processes can go on too, with other draws of dropout.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import torch
    >>> from dlbook.data import load_delivery
    >>> from dlbook.pytorch import MLP, fit, make_loader
    >>> X, Y = load_delivery("float32")
    >>> def train(epochs, folder):
    ...     model = MLP([1, 1])
    ...     optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    ...     loader = make_loader(X - X.mean(), Y, batch_size=2)
    ...     kept = Checkpoints(folder, resume=True)
    ...     return fit(model, nn.MSELoss(), optimizer, loader, epochs=epochs, checkpoints=kept)
    >>> with TemporaryDirectory() as folder:
    ...     before = train(2, folder)
    ...     after = train(5, folder)
    >>> len(after), after.epochs[:2] == before.epochs
    (5, True)
    """

    def __init__(
        self, folder: str | Path, *, every: int | None = None, keep: int = 3, resume: bool = False
    ) -> None:
        for name, value in (("every", every), ("keep", keep)):
            if value is not None and value < 1:
                raise ValueError(f"expected {name} to be at least 1, got {value}")
        self.folder = Path(folder)
        self.every = every
        self.keep = keep
        self.resume = resume
        self._best: dict[str, Any] = {"file": None, "loss": math.inf}
        self._lock: Lock | None = None

    def __enter__(self) -> Checkpoints:
        """Return the checkpoints; at the end of the block the folder is free for other runs."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def files(self) -> list[Path]:
        """List the checkpoints, sound or not.

        Returns
        -------
        list of Path
            The newest, which has the most steps, first.
        """
        steps = {path: NAME.fullmatch(path.name) for path in self.folder.glob("step-*.pt")}
        return sorted(
            (path for path, step in steps.items() if step),
            key=lambda path: _step(path),
            reverse=True,
        )

    def latest(self) -> Path | None:
        """Find the newest sound checkpoint.

        Returns
        -------
        Path or None
            Its file; None if there is none.

        Warns
        -----
        UserWarning
            For each newer file that is not sound; the message says what is wrong.
        """
        for path in self.files():
            try:
                read_checkpoint(path)
            except CheckpointError as error:
                warnings.warn(f"{error}; the one before it counts", stacklevel=2)
            else:
                return path
        return None

    def describe(self) -> str:
        """Say what is in the folder, a line for each file.

        Returns
        -------
        str
            Name, finished epochs, steps, validation loss of the last of these epochs, and by
            which versions it was written; or what is wrong with the file.
        """
        lines = [f"{path.name}  {_described(path)}" for path in self.files()]
        return "\n".join(lines or [f"no checkpoints in {self.folder}"])

    def restore(self, run: Run) -> None:
        """Bring a run to where the newest sound checkpoint left it, and keep the folder for it.

        A file that is damaged, foreign, of another run, or carries code is refused, and the one
        before it is used; the refused file gets the ending ``.refused``, so that it is not asked
        again.

        Parameters
        ----------
        run : Run
            The run, before its first step.

        Raises
        ------
        CheckpointError
            If there are checkpoints and ``resume`` is False; if none of them is sound and of this
            run; if another run writes to the folder; if the folder cannot be written to, or the
            run holds what no checkpoint can. The message gives every file with what is wrong, and
            nothing has been changed.

        Warns
        -----
        UserWarning
            For each file that was refused.
        """
        if self.every is not None and run.sampler is None:
            raise CheckpointError(
                "expected a loader that can start in the middle of an epoch, as make_loader makes "
                f"them, to go with every={self.every}: this loader's run can be kept at the ends "
                "of epochs, without every"
            )
        own = run.state_dict()
        self._best = {"file": None, "loss": math.inf}
        try:
            path = self._agreed(own)
            if path is not None:
                content = read_checkpoint(path)
                run.load_state_dict(content["run"])
                self._best = content["best"]
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def after_step(self, run: Run) -> None:
        """Keep the run if the number of its steps says so."""
        if self.every is not None and run.step % self.every == 0:
            self._save(run)

    def after_epoch(self, run: Run) -> None:
        """Keep the run at the end of an epoch."""
        loss = run.history.epochs[-1].get("validation_loss", math.nan)
        if loss < self._best["loss"]:
            self._best = {"file": self._path(run).name, "loss": loss}
        self._save(run)

    def _path(self, run: Run) -> Path:
        return self.folder / f"step-{run.step:08d}.pt"

    def _agreed(self, own: Mapping[str, Any]) -> Path | None:
        """Let the first process choose the file at which to go on; None to start anew."""
        path, problem = None, None
        if rank() == 0:
            try:
                check_plain(own, "the run")
                self._open()
                path = self._newest(own)
            except CheckpointError as error:
                problem = str(error)
        path, problem = from_first((path, problem))
        if problem is None and any_process(path is not None and not path.is_file()):
            problem = f"{path} is not there for every process: they must see the same folder"
        if problem is not None:
            raise CheckpointError(problem)
        return path

    def _open(self) -> None:
        """Keep other runs out of the folder, and remove what a killed one had begun to write."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.folder / ".lock")
            for draft in self.folder.glob(".step-*.tmp"):
                draft.unlink()
        except BlockingIOError as error:
            raise CheckpointError(
                f"another run writes to {self.folder}: wait for it, or choose another folder "
                f"({error})"
            ) from error
        except OSError as error:
            raise CheckpointError(f"cannot write to {self.folder}: {error}") from error

    def _newest(self, own: Mapping[str, Any]) -> Path | None:
        """Return the newest checkpoint that is sound and of this run; None where there are none."""
        files = self.files()
        if files and not self.resume:
            raise CheckpointError(
                f"{self.folder} holds checkpoints, the newest {files[0].name}: pass resume=True to "
                "go on, or choose another folder"
            )
        refused: dict[Path, CheckpointError] = {}
        for path in files:
            try:
                _check_of_run(path, own)
            except CheckpointError as error:
                refused[path] = error
                continue
            for bad, reason in refused.items():
                warnings.warn(f"{reason}; going on with {path.name}", stacklevel=2)
                bad.replace(bad.with_name(f"{bad.name}.refused"))
            return path
        if refused:
            listed = "".join(f"\n- {reason}" for reason in refused.values())
            raise CheckpointError(f"no checkpoint in {self.folder} to go on with:{listed}")
        return None

    def _save(self, run: Run) -> None:
        """Write a checkpoint, then remove all but the last and the best."""
        state = run.state_dict()
        if rank() > 0:
            return
        path = self._path(run)
        try:
            write_checkpoint(path, state, self._best)
            for old in [old for old in self.files() if _step(old) <= run.step][self.keep :]:
                if old.name != self._best["file"]:
                    old.unlink()
        except OSError as error:
            raise CheckpointError(
                f"cannot keep the run after step {run.step} in {self.folder}: {error}; the "
                "checkpoints before it are as they were"
            ) from error


def load_weights(path: str | Path, model: nn.Module, *, best: bool = True) -> Path:
    """Take the parameters and buffers of a checkpoint into a network, to use it.

    Parameters
    ----------
    path : str or Path
        A folder of ``Checkpoints``, or one file of it.
    model : nn.Module
        The network; it is changed.
    best : bool, default True
        Of a folder take the checkpoint with the lowest validation loss, where there was
        validation; otherwise the last.

    Returns
    -------
    Path
        The file that was read.

    Raises
    ------
    CheckpointError
        If there is no sound checkpoint, or it is of another network; the message gives all
        differences, and nothing has been changed.

    Examples
    --------
    >>> load_weights("no/such/folder", nn.Linear(2, 1))
    Traceback (most recent call last):
    dlbook.pytorch.checkpoint_files.CheckpointError: no/such/folder holds no sound checkpoint
    """
    file = Path(path) if Path(path).is_file() else Checkpoints(path).latest()
    if file is None:
        raise CheckpointError(f"{path} holds no sound checkpoint")
    content = read_checkpoint(file)
    if best and file != Path(path) and content["best"]["file"] is not None:
        file = Path(path, content["best"]["file"])
        content = read_checkpoint(file)
    state = content["run"]["model"]
    problems = differences_of_models(model.state_dict(), state)
    if problems:
        raise CheckpointError(f"{file} is of another network: {'; '.join(problems)}")
    model.load_state_dict(state)
    return file


def _check_of_run(path: Path, own: Mapping[str, Any]) -> None:
    problems = differences(own, read_checkpoint(path).get("run", {}))
    if problems:
        raise CheckpointError(f"{path} is of another run: {'; '.join(problems)}")


def _described(path: Path) -> str:
    try:
        content = read_checkpoint(path)
    except CheckpointError as error:
        return str(error)
    run, best = content["run"], content["best"]["file"]
    position, rows = run["position"], run["history"]["epochs"]
    loss = rows[-1].get("validation_loss") if rows else None
    return (
        f"epoch {position['epoch']}, step {position['step']}"
        + ("" if loss is None else f", validation loss {loss:.4g}")
        + (", best" if best == path.name else "")
        + f" (dlbook {content['dlbook']}, torch {content['torch']})"
    )


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))
