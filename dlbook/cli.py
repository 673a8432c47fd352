"""The command line: ``dlbook train TASK``, ``dlbook doctor PROGRAM`` and ``dlbook --version``."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

import dlbook
from dlbook import runs
from dlbook.history import History
from dlbook.tasks import TASKS, AmpName, Backend, OptimizerName, PyTorchOptions, TaskName

if TYPE_CHECKING:
    from dlbook.doctor import Report

LAUNCHED = "RANK"  # torchrun's variable: the number of this process among those it started
FAILED, INTERRUPTED = 1, 130  # the latter is what shells expect where Ctrl-C ended a command
WITH_PYTORCH: Any = {"rich_help_panel": "With --backend pytorch"}

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
    except (OSError, runs.RunError) as error:
        status = FAILED
        _complain(str(error))
    except typer.TyperException as error:
        # torchrun ends all when one fails: no other may fail before the first has spoken.
        status = error.exit_code if _is_first() else 0
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
    epochs: Annotated[int | None, typer.Option(help="How often all examples are shown.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    optimizer: Annotated[OptimizerName | None, typer.Option(help="What makes the steps.")] = None,
    hidden: Annotated[
        str | None, typer.Option(help='Widths such as 64,64; "" for none.', metavar="WIDTHS")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.")] = 0,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:0, mps.", metavar="NAME", **WITH_PYTORCH)
    ] = "auto",
    amp: Annotated[
        AmpName | None, typer.Option(help="Products in 16 bits.", **WITH_PYTORCH)
    ] = None,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Compile the network.", **WITH_PYTORCH)
    ] = False,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Keep the run in this folder.", metavar="DIR", **WITH_PYTORCH),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            help="Keep it every N steps too, not only each epoch.", metavar="N", **WITH_PYTORCH
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where --checkpoint kept the run.", **WITH_PYTORCH),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results. Default: runs/TASK-BACKEND.", metavar="DIR"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier run's files.")] = False,
) -> int:
    """Train a network and keep its record, its learning curves and what it has learned.

    What is not asked for is chosen by task.

    Under torchrun -m dlbook, PyTorch trains in several processes.
    """
    folder = out or Path("runs") / f"{task}-{backend}"
    history = History()
    with _one_line_for_bad_options():
        options = TASKS[task].options(
            hidden=_widths(task, hidden),
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            optimizer=optimizer,
            seed=seed,
        )
        pytorch = PyTorchOptions(
            device=device,
            amp=amp,
            compile=compile_,
            checkpoint=checkpoint,
            every=checkpoint_every,
            resume=resume,
        )
        _check_backend(backend, pytorch)
    try:
        with ExitStack() as group, _one_line_for_warnings():
            with _one_line_for_bad_options():
                pytorch = group.enter_context(runs.processes(backend, pytorch))
            settings = runs.settings(task, backend, options, pytorch)
            obstacle = runs.obstacle(settings, folder, pytorch, force=force)
            if obstacle is None:
                run = runs.train(task, backend, options, history, pytorch=pytorch)
        if obstacle is not None:
            raise BadOptionError(obstacle)
        return _finished(run, folder) if _is_first() else 0
    except KeyboardInterrupt:
        return _stopped(history, folder, pytorch) if _is_first() else INTERRUPTED


@app.command(context_settings={"allow_extra_args": True, "allow_interspersed_args": False})
def doctor(
    context: typer.Context,
    program: Annotated[
        str | None,
        typer.Argument(
            help="What to run. All that stands behind it is the program's own.",
            metavar="PROGRAM [ARGUMENTS]...",
        ),
    ] = None,
    module: Annotated[
        bool, typer.Option("-m", help="The program is a module, as behind python -m.")
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="Do not report this; may be given again.", metavar="CODE"),
    ] = None,
    every: Annotated[
        int, typer.Option(min=1, help="Look closely at one step in N, and at the first ones.")
    ] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="Report in one line of JSON, the last one.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="List what can be found, and exit.")
    ] = False,
    explained: Annotated[
        str | None, typer.Option("--explain", help="Tell of one fault, and exit.", metavar="CODE")
    ] = None,
) -> int:
    """Run a program as it stands and say what is wrong with it.

    Every network and every optimizer that it makes is watched.

    The report comes after its own output, also where it raised or was stopped by Ctrl-C.

    The status is 0 if nothing was found but notes, 1 if something was or the program raised,
    2 if there is no such program, 130 after Ctrl-C where nothing was found.
    """
    from dlbook.doctor import catalog, explain
    from dlbook.doctor.links import link_to
    from dlbook.doctor.running import run_watched, show_ending

    if listed:
        width = max(map(len, catalog()))
        for code, title in catalog().items():
            typer.echo(f"{code:{width}}  {title}")
        return 0
    output = sys.stdout  # the program may put another in its place
    with _one_line_for_bad_options():
        if explained is not None:
            paragraph = explain(explained)
            typer.echo(f"{catalog()[explained]}\n\n{paragraph}\n\nbook: {link_to(explained)}")
            return 0
        for code in ignore or ():
            explain(code)  # refuses what is no code
        if program is None:
            raise ValueError("expected a program: dlbook doctor train.py [ARGUMENTS]")
    try:
        watcher = run_watched(
            program, context.args, module=module, every=every, ignore=ignore or ()
        )
    except FileNotFoundError as error:
        raise BadOptionError(str(error)) from error
    ended_by = watcher.record.error
    show_ending(ended_by)
    report = watcher.report()
    if _is_first():
        _tell(report, output, as_json=as_json)
    if isinstance(ended_by, KeyboardInterrupt) and not report:
        return INTERRUPTED
    raised = ended_by is not None and not isinstance(ended_by, SystemExit)
    return FAILED if raised or (report and _is_first()) else 0


def _tell(report: Report, output: TextIO, *, as_json: bool) -> None:
    """Write what the doctor found: in color for people, as plain text for pipes and files."""
    if as_json:
        output.write(json.dumps(report.to_dict()) + "\n")
    elif output.isatty():
        from rich.console import Console

        Console(file=output).print(report)
    else:
        output.write(f"\n{report}\n")


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


def _stopped(history: History, folder: Path, pytorch: PyTorchOptions) -> int:
    """Keep what was recorded before Ctrl-C, and say how to go on."""
    if len(history):
        with _uninterrupted():
            runs.keep(folder, history)
        message = f"stopped after epoch {len(history)}: record and curves are in {folder}"
    else:
        message = "stopped before the first epoch ended: nothing was recorded"
    newest = runs.newest_checkpoint(pytorch)
    _complain(
        message + (f"; the same command with --resume goes on from {newest}" if newest else "")
    )
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


def _check_backend(backend: Backend, pytorch: PyTorchOptions) -> None:
    """Refuse what only PyTorch can do where NumPy was asked for."""
    if backend == "numpy":
        pytorch.refuse()
        if LAUNCHED in os.environ:
            raise ValueError("torchrun needs --backend pytorch: NumPy trains in one process")


@contextmanager
def _one_line_for_warnings() -> Iterator[None]:
    """Show what the package warns of as it shows what went wrong."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: Any = None,
            line: str | None = None,
        ) -> None:
            if Path(dlbook.__file__).parent in Path(filename).parents:
                _complain(str(message))
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def _show(title: str, measures: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in measures.items():
        table.add_row(name, value)
    Console().print(table)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Finish what Ctrl-C asked for: under torchrun it comes twice, once from there."""
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)


def _is_first() -> bool:
    """Tell whether this process speaks and writes for all that torchrun started beside it."""
    return os.environ.get(LAUNCHED, "0") == "0"


def _complain(message: str) -> None:
    """Write one line to standard error."""
    if message and _is_first():
        typer.echo(f"dlbook: {' '.join(message.split())}", err=True)
