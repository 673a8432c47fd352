"""Training by the name of a task, in either half of the package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dlbook.history import History, Setting
from dlbook.tasks import TASKS, Backend, Options, PyTorchOptions, Task, TaskName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dlbook.data import Splits

    Predict = Callable[[NDArray[np.floating]], NDArray[np.floating]]

__all__ = ["Run", "settings", "sizes", "targets", "train", "validation"]


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
    pytorch: PyTorchOptions | None = None,
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
    pytorch : PyTorchOptions, optional
        On which device and how PyTorch computes, and where it keeps the run.
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
    RunError
        If the run cannot be kept, or cannot go on where it was kept; the message says why.

    Examples
    --------
    >>> from dlbook.runs import delivery_minutes
    >>> run = train("delivery", "numpy", TASKS["delivery"].options(), History())
    >>> print(f"{delivery_minutes(run, 7):.1f} minutes for 7 miles")
    29.0 minutes for 7 miles
    """
    import numpy as np

    rng = np.random.default_rng(options.seed)
    data = TASKS[task].load(rng)
    pytorch = PyTorchOptions() if pytorch is None else pytorch
    history.settings |= settings(task, backend, options, pytorch)
    if backend == "numpy":
        predict = _train_numpy(TASKS[task], options, data, history, progress, rng)
    else:
        from dlbook.runs.by_pytorch import train_pytorch

        predict = train_pytorch(TASKS[task], options, data, history, progress, pytorch)
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

    model = mlp(sizes(task, options, data), rng=rng)
    make_optimizer = {"sgd": SGD, "adam": Adam}[options.optimizer]
    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges says so at its end
        fit(
            model,
            getattr(losses, task.loss),
            make_optimizer(model.parameters, lr=options.lr),
            data.train.X,
            targets(task, data.train.y),
            epochs=options.epochs,
            batch_size=options.batch_size,
            rng=rng,
            validation=validation(task, data),
            progress=progress,
            history=history,
        )
    return model.forward


def settings(
    task: TaskName, backend: Backend, options: Options, pytorch: PyTorchOptions
) -> dict[str, Setting]:
    """Return what decides a run's numbers, as its record tells it."""
    chosen = {"task": task, "backend": backend, **asdict(options), "hidden": list(options.hidden)}
    return chosen | ({"amp": pytorch.amp} if backend == "pytorch" else {})


def sizes(task: Task, options: Options, data: Splits) -> list[int]:
    """Return the widths of a network's layers, from input to output."""
    return [data.train.X.shape[1], *options.hidden, task.outputs]


def targets(task: Task, y: NDArray[Any]) -> NDArray[Any]:
    """Give targets the form that the loss takes: one logit asks for a column of 0s and 1s."""
    if task.loss == "binary_cross_entropy_with_logits":
        return y[:, None].astype("float32")
    return y


def validation(task: Task, data: Splits) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return what is measured on after each epoch, if the task has such a part."""
    X, y = data.validation
    return (X, targets(task, y)) if len(X) else None
