"""A training run from the name of a task to a folder of results: what ``dlbook train`` does."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from dlbook.files import write_atomically
from dlbook.history import History
from dlbook.tasks import TASKS, Backend, Options, Task, TaskName

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from dlbook.data import Splits

    Predict = Callable[[NDArray[np.floating]], NDArray[np.floating]]

__all__ = ["Run", "claim", "delivery_minutes", "keep", "measure", "train"]

HISTORY = "history.json"
FIGURES = ("learning-curves", "decision-boundary", "confusion-matrix")
FORMATS = ("png", "svg")
OUTPUTS = [HISTORY, *(f"{name}.{suffix}" for name in FIGURES for suffix in FORMATS)]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Parameters
    ----------
    task : str
        What was learned.
    history : History
        Settings, and one row an epoch.
    predict : callable
        Takes inputs of shape (n, d), returns the network's outputs.
    data : Splits
        What the network was trained and is to be tested on.
    """

    task: TaskName
    history: History
    predict: Predict
    data: Splits


def train(
    task: TaskName,
    backend: Backend,
    options: Options,
    history: History,
    *,
    device: str | None = None,
    progress: bool = True,
) -> Run:
    """Train a network on a task.

    Parameters
    ----------
    task : str
        A key of ``TASKS``.
    backend : {"numpy", "pytorch"}
        Which half of the package does it.
    options : Options
        How.
    history : History
        Where to record, so that what was recorded outlives an interruption.
    device : str, optional
        For PyTorch, as in ``dlbook.pytorch.best_device``.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    Run
        The network's predictions, the record and the data.

    Raises
    ------
    ValueError
        If the device is not there; the message lists what there is.

    Examples
    --------
    >>> run = train("delivery", "numpy", TASKS["delivery"].options(), History())
    >>> print(f"{delivery_minutes(run, 7):.1f} minutes for 7 miles")
    29.0 minutes for 7 miles
    """
    import numpy as np

    rng = np.random.default_rng(options.seed)
    data = TASKS[task].load(rng)
    history.settings |= {"task": task, "backend": backend, **asdict(options)}
    history.settings["hidden"] = list(options.hidden)
    if backend == "numpy":
        predict = _train_numpy(TASKS[task], options, data, history, progress, rng)
    else:
        predict = _train_pytorch(TASKS[task], options, data, history, progress, device)
    return Run(task, history, predict, data)


def _train_numpy(
    task: Task,
    options: Options,
    data: Splits,
    history: History,
    progress: bool,
    rng: np.random.Generator,
) -> Predict:
    import numpy as np

    from dlbook.scratch import losses
    from dlbook.scratch.layers import mlp
    from dlbook.scratch.optimizers import SGD, Adam
    from dlbook.scratch.training import fit

    model = mlp(_sizes(task, options, data), rng=rng)
    make_optimizer = {"sgd": SGD, "adam": Adam}[options.optimizer]
    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges says so at its end
        fit(
            model,
            getattr(losses, task.loss),
            make_optimizer(model.parameters, lr=options.lr),
            data.train.X,
            _targets(task, data.train.y),
            epochs=options.epochs,
            batch_size=options.batch_size,
            rng=rng,
            validation=_validation(task, data),
            progress=progress,
            history=history,
        )
    return model.forward


def _train_pytorch(
    task: Task,
    options: Options,
    data: Splits,
    history: History,
    progress: bool,
    device: str | None,
) -> Predict:
    import torch
    from torch import nn

    from dlbook.pytorch import MLP, best_device, fit, make_loader

    chosen = best_device(device)
    history.settings["device"] = str(chosen)
    generator = torch.Generator().manual_seed(options.seed)
    model = MLP(_sizes(task, options, data), generator=generator)
    losses = {
        "mse": nn.MSELoss,
        "binary_cross_entropy_with_logits": nn.BCEWithLogitsLoss,
        "cross_entropy": nn.CrossEntropyLoss,
    }
    make_optimizer: Any = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[options.optimizer]
    validation = _validation(task, data)
    fit(
        model,
        losses[task.loss](),
        make_optimizer(model.parameters(), lr=options.lr),
        make_loader(
            data.train.X,
            _targets(task, data.train.y),
            batch_size=options.batch_size,
            generator=generator,
        ),
        epochs=options.epochs,
        device=chosen,
        validation=validation and make_loader(*validation, batch_size=len(validation[0])),
        progress=progress,
        history=history,
    )

    def predict(X: NDArray[np.floating]) -> NDArray[np.floating]:
        model.eval()
        with torch.no_grad():
            outputs: NDArray[np.floating] = model(torch.tensor(X).to(chosen)).cpu().numpy()
        return outputs

    return predict


def _sizes(task: Task, options: Options, data: Splits) -> list[int]:
    return [data.train.X.shape[1], *options.hidden, task.outputs]


def _targets(task: Task, y: NDArray[Any]) -> NDArray[Any]:
    """Give targets the form that the loss takes: one logit asks for a column of 0s and 1s."""
    if task.loss == "binary_cross_entropy_with_logits":
        return y[:, None].astype("float32")
    return y


def _validation(task: Task, data: Splits) -> tuple[NDArray[Any], NDArray[Any]] | None:
    X, y = data.validation
    return (X, _targets(task, y)) if len(X) else None


def delivery_minutes(run: Run, miles: float) -> float:
    """Tell how long a delivery takes by a network trained on the delivery task.

    Parameters
    ----------
    run : Run
        A run of the task ``delivery``.
    miles : float
        The distance.

    Returns
    -------
    float
        Minutes.

    Examples
    --------
    >>> run = train("delivery", "numpy", TASKS["delivery"].options(), History())
    >>> print(f"{delivery_minutes(run, 1) - delivery_minutes(run, 0):.1f} minutes a mile")
    3.4 minutes a mile
    """
    import numpy as np

    from dlbook.data import load_delivery

    X, _ = load_delivery("float32")
    return float(run.predict(np.array([[miles]], dtype=X.dtype) - X.mean())[0, 0])


def measure(run: Run) -> dict[str, str]:
    """Say how a run ended: each measure by name, with its unit.

    Parameters
    ----------
    run : Run
        A finished run.

    Returns
    -------
    dict of str to str
        Epochs, losses, accuracies and seconds; for the delivery task its line.

    Examples
    --------
    >>> run = train("delivery", "numpy", TASKS["delivery"].options(), History())
    >>> measure(run)["7 miles"]
    '29.0 minutes'
    """
    from dlbook.metrics import accuracy, predicted_classes

    last = run.history.epochs[-1]
    unit = "squared minutes" if run.task == "delivery" else "nats"
    shown = {"epochs": str(len(run.history))}
    for part, name in (("train", "training"), ("validation", "validation")):
        if f"{part}_loss" in last:
            shown[f"{name} loss"] = f"{last[f'{part}_loss']:.4g} {unit}"
        if f"{part}_accuracy" in last:
            shown[f"{name} accuracy"] = f"{last[f'{part}_accuracy']:.1%}"
    X, y = run.data.test
    if len(X):
        shown["test accuracy"] = f"{accuracy(predicted_classes(run.predict(X)), y):.1%}"
    if run.task == "delivery":
        intercept = delivery_minutes(run, 0)
        shown["slope"] = f"{delivery_minutes(run, 1) - intercept:.4f} minutes a mile"
        shown["intercept"] = f"{intercept:.4f} minutes"
        shown["7 miles"] = f"{delivery_minutes(run, 7):.1f} minutes"
    shown["time"] = f"{sum(run.history['seconds']):.1f} seconds"
    return shown


def claim(folder: Path, *, force: bool) -> None:
    """Make a folder for a run's files, and see that they may be written there.

    Parameters
    ----------
    folder : Path
        Where the files will go; made if missing.
    force : bool
        Let the files of an earlier run be replaced.

    Raises
    ------
    ValueError
        If the folder cannot be written to, or holds files of an earlier run and ``force`` is
        False; the message says which.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     claim(Path(folder, "new"), force=False)
    ...     Path(folder, "new").is_dir()
    True
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror}") from error
    earlier = [name for name in OUTPUTS if (folder / name).exists()]
    if earlier and not force:
        raise ValueError(
            f"{folder} holds {', '.join(earlier)} of an earlier run: "
            "choose another --out, or replace them with --force"
        )


def keep(folder: Path, history: History, run: Run | None = None) -> list[Path]:
    """Write a run's files: its record, and as PNG and SVG its curves and what it has learned.

    What it has learned is the decision boundary among the test points for blobs and moons, the
    confusion matrix of the test images for digits. Files of an earlier run that this one does not
    replace are removed, so that the folder tells of one run.

    Parameters
    ----------
    folder : Path
        Where to: a folder that ``claim`` has seen.
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
