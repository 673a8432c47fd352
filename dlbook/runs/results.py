"""How a run ended, in words."""

from __future__ import annotations

from dlbook.runs.training import Run

__all__ = ["delivery_minutes", "measure"]


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
    >>> from dlbook.history import History
    >>> from dlbook.runs import train
    >>> from dlbook.tasks import TASKS
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
    >>> from dlbook.history import History
    >>> from dlbook.runs import train
    >>> from dlbook.tasks import TASKS
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
