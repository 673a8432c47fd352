"""The command line: ``dlbook train TASK`` and ``dlbook --version``."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import dlbook
from dlbook import runs
from dlbook.history import History
from dlbook.tasks import TASKS, Backend, OptimizerName, TaskName

FAILED, INTERRUPTED = 1, 130  # the latter is what shells expect where Ctrl-C ended a command

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class BadOptionError(typer.TyperException):
    """An option that cannot be used; its message is one line."""

    exit_code = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 if it went well, 2 for a bad option, 130 after Ctrl-C.

    Parameters
    ----------
    arguments : sequence of str, optional
        What stands behind ``dlbook``; taken from the command line where it is left out.
    """
    try:
        status = app(args=arguments, prog_name="dlbook", standalone_mode=False)
    except OSError as error:
        status = FAILED
        _complain(str(error))
    except typer.TyperException as error:
        status = error.exit_code
        _complain(error.format_message().replace("Value error, ", ""))  # pydantic's prefix
    sys.exit(status)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Train the book's networks, by hand in NumPy or in PyTorch."""
    if version:
        typer.echo(f"dlbook {dlbook.__version__}")
        raise typer.Exit


@app.command()
def train(
    task: Annotated[TaskName, typer.Argument(help="What to learn.", show_default=False)],
    backend: Annotated[Backend, typer.Option(help="By hand, or in PyTorch.")] = "numpy",
    device: Annotated[
        str, typer.Option(help="For PyTorch: auto, cpu, cuda, cuda:0, mps.", metavar="NAME")
    ] = "auto",
    epochs: Annotated[int | None, typer.Option(help="How often all examples are shown.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    optimizer: Annotated[OptimizerName | None, typer.Option(help="What makes the steps.")] = None,
    hidden: Annotated[
        str | None, typer.Option(help='Widths such as 64,64; "" for none.', metavar="WIDTHS")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results. Default: runs/TASK-BACKEND.", metavar="DIR"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier run's files.")] = False,
) -> int:
    """Train a network and keep its record, its learning curves and what it has learned.

    What is not asked for is chosen by task.
    """
    folder = out or Path("runs") / f"{task}-{backend}"
    history = History()
    try:
        with _one_line_for_bad_options():
            options = TASKS[task].options(
                hidden=_widths(task, hidden),
                epochs=epochs,
                batch_size=batch_size,
                lr=lr,
                optimizer=optimizer,
                seed=seed,
            )
            _check_device(backend, device)
            runs.claim(folder, force=force)
        run = runs.train(task, backend, options, history, device=device)
        return _finished(run, folder)
    except KeyboardInterrupt:
        return _stopped(history, folder)


def _finished(run: runs.Run, folder: Path) -> int:
    """Show how a run ended, and keep it."""
    settings = run.history.settings
    _show(
        f"{run.task}, {settings['backend']}, seed {settings['seed']}",
        runs.measure(run),
    )
    if not math.isfinite(run.history["train_loss"][-1]):
        _complain("the run diverged: its loss is no number any more; try a smaller --lr")
    written = runs.keep(folder, run.history, run)
    typer.echo(f"{folder}: {', '.join(path.name for path in written)}")
    return 0


def _stopped(history: History, folder: Path) -> int:
    """Keep what was recorded before Ctrl-C."""
    if len(history):
        runs.keep(folder, history)
        _complain(f"stopped after epoch {len(history)}: record and curves are in {folder}")
    else:
        _complain("stopped before the first epoch ended: nothing was recorded")
    return INTERRUPTED


@contextmanager
def _one_line_for_bad_options() -> Iterator[None]:
    """Turn the package's word on a bad argument into the command line's."""
    try:
        yield
    except ValueError as error:
        raise BadOptionError(str(error)) from error


def _widths(task: TaskName, text: str | None) -> tuple[int, ...] | None:
    """Read widths such as ``64,64``."""
    if text is None:
        return None
    if task == "delivery" and text:
        raise ValueError("the delivery task trains one linear neuron: leave out --hidden")
    try:
        return tuple(int(width) for width in text.split(",")) if text else ()
    except ValueError:
        raise ValueError(f"--hidden takes widths such as 64,64, got {text!r}") from None


def _check_device(backend: Backend, device: str) -> None:
    if backend == "pytorch":
        from dlbook.pytorch import best_device

        best_device(device)
    elif device not in ("auto", "cpu"):
        raise ValueError(f"--device {device} needs --backend pytorch: NumPy computes on the CPU")


def _show(title: str, measures: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in measures.items():
        table.add_row(name, value)
    Console().print(table)


def _complain(message: str) -> None:
    """Write one line to standard error."""
    if message:
        typer.echo(f"dlbook: {' '.join(message.split())}", err=True)
