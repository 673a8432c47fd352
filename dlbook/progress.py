"""The progress bar that both halves show while they train."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["epoch_bar"]


@contextmanager
def epoch_bar(
    epochs: int, *, done: int = 0, shown: bool = True
) -> Iterator[Callable[[float, float], None]]:
    """Show how far a training run has come, on standard error.

    The bar tells the epoch, the loss, the learning rate and the epochs per second. Where standard
    error is neither a terminal nor a notebook, nothing is shown, so that logs stay clean.

    Parameters
    ----------
    epochs : int
        The number of epochs of the run, at least 1.
    done : int, default 0
        How many of them an earlier part of the run made.
    shown : bool, default True
        False shows nothing anywhere.

    Yields
    ------
    callable
        ``advance(loss, lr)``, to be called at the end of each epoch.

    Raises
    ------
    ValueError
        If ``epochs`` is below 1; the message gives it.

    Examples
    --------
    >>> with epoch_bar(2, shown=False) as advance:
    ...     for loss in (0.7, 0.5):
    ...         advance(loss, 0.1)
    """
    if epochs < 1:
        raise ValueError(f"expected at least one epoch, got {epochs}")
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    visible = shown and (console.is_terminal or console.is_jupyter)
    with Progress(*columns, console=console, disable=not visible) as bar:
        task = bar.add_task("", total=epochs, completed=done, state="")

        def advance(loss: float, lr: float) -> None:
            speed = bar.tasks[0].speed or 0.0
            state = f"loss {loss:.4f}  rate {lr:g}  {speed:.1f} epochs/s"
            bar.update(task, advance=1, state=state)

        yield advance
