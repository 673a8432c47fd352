"""The folder of a run: its record, its curves, and what it has learned."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlbook.files import write_atomically
from dlbook.history import History
from dlbook.runs.training import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["keep"]

HISTORY = "history.json"
FIGURES = ("learning-curves", "decision-boundary", "confusion-matrix")
FORMATS = ("png", "svg")
OUTPUTS = [HISTORY, *(f"{name}.{suffix}" for name in FIGURES for suffix in FORMATS)]


def keep(folder: Path, history: History, run: Run | None = None) -> list[Path]:
    """Write a run's files: its record, and as PNG and SVG its curves and what it has learned.

    What it has learned is the decision boundary among the test points for blobs and moons, the
    confusion matrix of the test images for digits. Files of an earlier run that this one does not
    replace are removed, so that the folder tells of one run.

    Parameters
    ----------
    folder : Path
        Where to: a folder that ``obstacle`` has seen.
    history : History
        The record, of at least one epoch.
    run : Run, optional
        The finished run; without it, as after Ctrl-C, only record and curves are written.

    Returns
    -------
    list of Path
        The files written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from dlbook.runs import train
    >>> from dlbook.tasks import TASKS
    >>> run = train("delivery", "numpy", TASKS["delivery"].options(), History())
    >>> with TemporaryDirectory() as folder:
    ...     [path.name for path in keep(Path(folder), run.history, run)]
    ['history.json', 'learning-curves.png', 'learning-curves.svg']
    """
    import matplotlib as mpl

    from dlbook.figures import style
    from dlbook.figures.runs import learning_curves

    history.save(folder / HISTORY)
    written = [folder / HISTORY]
    settings: Any = style.rc()  # matplotlib's types want each key as a literal
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        figures = {"learning-curves": learning_curves(history)} | (_draw(run) if run else {})
        for name, figure in figures.items():
            for suffix in FORMATS:
                path = folder / f"{name}.{suffix}"
                write_atomically(path, _picture(figure, suffix))
                written.append(path)
    for name in OUTPUTS:
        if folder / name not in written:
            (folder / name).unlink(missing_ok=True)
    return written


def _draw(run: Run) -> dict[str, Figure]:
    """Draw what a run has learned: nothing if it diverged."""
    import numpy as np

    from dlbook.figures.runs import confusion_matrix_figure, decision_boundary
    from dlbook.metrics import confusion_matrix, predicted_classes
    from dlbook.scratch.activations import sigmoid

    X, y = run.data.test
    Z = run.predict(X)
    if not np.isfinite(Z).all():
        return {}
    if run.task in ("blobs", "moons"):
        figure = decision_boundary(lambda X: sigmoid(run.predict(X))[:, 0], X, y)
        return {"decision-boundary": figure}
    if run.task == "digits":
        matrix = confusion_matrix(predicted_classes(Z), y, k=10)
        return {"confusion-matrix": confusion_matrix_figure(matrix, [str(c) for c in range(10)])}
    return {}


def _picture(figure: Figure, suffix: str) -> bytes:
    file = io.BytesIO()
    if suffix == "png":
        figure.savefig(file, format="png", dpi=200, facecolor="white")
    else:
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
