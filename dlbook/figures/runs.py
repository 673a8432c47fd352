"""Figures of a training run: how it went, where it draws the line, what it takes for what."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from dlbook.figures import style
from dlbook.history import History

__all__ = ["confusion_matrix_figure", "decision_boundary", "learning_curves"]

PARTS = {"train": ("training", style.BLUE, "-"), "validation": ("validation", style.ORANGE, "--")}
LOG_SPAN = 100  # a loss that falls by more than this is drawn on a logarithmic axis


def learning_curves(history: History) -> Figure:
    """Draw loss and, where it was recorded, accuracy against epochs.

    Parameters
    ----------
    history : History
        The record of a run of at least one epoch.

    Returns
    -------
    Figure
        One panel or two. A loss that falls by more than a factor of 100 gets a logarithmic axis.

    Raises
    ------
    ValueError
        If the history has no epochs.

    Examples
    --------
    >>> history = History()
    >>> history.record(train_loss=2.3, train_accuracy=0.1)
    >>> [ax.get_ylabel() for ax in learning_curves(history).axes]
    ['loss', 'accuracy']
    """
    if not len(history):
        raise ValueError("cannot draw a history without epochs")
    measures = [m for m in ("loss", "accuracy") if f"train_{m}" in history]
    fig = style.canvas(height=3.0)
    for ax, measure in zip(fig.subplots(1, len(measures), squeeze=False)[0], measures, strict=True):
        _curves(ax, history, measure)
    losses = np.array(history["train_loss"])
    losses = losses[np.isfinite(losses) & (losses > 0)]
    if losses.size and losses.max() > LOG_SPAN * losses.min():
        fig.axes[0].set_yscale("log")
    if len(measures) == 2:
        fig.axes[1].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    return fig


def _curves(ax: Axes, history: History, measure: str) -> None:
    marker = "o" if len(history) == 1 else ""
    for part, (label, color, dash) in PARTS.items():
        if f"{part}_{measure}" in history:
            values = history[f"{part}_{measure}"]
            ax.plot(history["epoch"], values, dash, marker=marker, color=color, label=label)
    ax.set(xlabel="epoch", ylabel=measure)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.grid(axis="y")
    ax.legend()


def decision_boundary(
    probability: Callable[[NDArray[np.float32]], NDArray[np.floating]],
    X: NDArray[np.floating],
    y: NDArray[np.integer],
) -> Figure:
    """Draw points of two classes and where a classifier changes its mind between them.

    The line runs where both classes are equally probable; thin lines run where one of them has
    probability 0.9.

    Parameters
    ----------
    probability : callable
        Takes points of shape (m, 2), returns the probability of class 1, of shape (m,).
    X : ndarray of shape (n, 2)
        Points.
    y : ndarray of shape (n,)
        Their classes, 0 or 1.

    Returns
    -------
    Figure
        Both axes in the same unit.

    Raises
    ------
    ValueError
        If the points are not in the plane, there are other classes than 0 and 1, or a probability
        is not finite; the message gives what came.

    Examples
    --------
    >>> from dlbook.data import make_moons
    >>> X, y = make_moons(20, rng=np.random.default_rng(0))
    >>> figure = decision_boundary(lambda X: 1 / (1 + np.exp(4 * X[:, 1])), X, y)
    """
    if X.ndim != 2 or X.shape[1] != 2 or not len(X):
        raise ValueError(f"expected points of shape (n, 2), got {X.shape}")
    if not set(np.unique(y)) <= {0, 1}:
        raise ValueError(f"expected classes 0 and 1, got {np.unique(y)}")
    fig = style.canvas(width=5.2, height=4.0)
    ax = fig.subplots()
    low, high = X.min(axis=0), X.max(axis=0)
    margin = 0.12 * (high - low).max()
    x1, x2 = (np.linspace(a - margin, b + margin, 201) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(x1, x2), axis=-1)  # (201, 201, 2)
    P = probability(grid.reshape(-1, 2).astype(np.float32)).reshape(201, 201)
    if not np.isfinite(P).all():
        raise ValueError("expected probabilities, got NaN or infinity: has the run diverged?")
    ax.contourf(x1, x2, P, levels=[-1, 0.5, 2], colors=[style.BLUE_SOFT, style.ORANGE_SOFT])
    for levels, width, dash, label in [
        ([0.5], style.LINE, "solid", "even odds"),
        ([0.1, 0.9], style.THIN, "dotted", "9 to 1"),
    ]:
        if crossed := [level for level in levels if P.min() < level < P.max()]:
            ax.contour(x1, x2, P, crossed, colors=style.INK, linewidths=width, linestyles=dash)
        ax.plot([], [], color=style.INK, linewidth=width, linestyle=dash, label=label)
    for c, color, marker in [(0, style.BLUE, "o"), (1, style.ORANGE, "^")]:
        ax.plot(*X[y == c].T, marker, color=color, markersize=4.5, label=f"class {c}")
    ax.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return fig


def confusion_matrix_figure(matrix: NDArray[np.integer], labels: Sequence[str]) -> Figure:
    """Draw how often each class was taken for each; the deeper the color, the greater the share.

    Parameters
    ----------
    matrix : ndarray of shape (k, k)
        Counts: rows are true classes, columns predictions.
    labels : sequence of str
        The names of the k classes.

    Returns
    -------
    Figure
        What was right is blue and stands on the diagonal, what was wrong is orange; pairs that
        never occurred are left empty.

    Raises
    ------
    ValueError
        If the matrix is not square, or there is not one label for each class; the message gives
        shape and number.

    Examples
    --------
    >>> figure = confusion_matrix_figure(np.array([[9, 1], [0, 10]]), ["cat", "dog"])
    """
    k = len(labels)
    if matrix.shape != (k, k):
        raise ValueError(
            f"expected a matrix of shape ({k}, {k}) for {k} labels, got {matrix.shape}"
        )
    fig = style.canvas(width=5.0, height=5.0)
    ax = fig.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)  # (k, k)
    for true, predicted in np.argwhere(matrix):
        share, right = shares[true, predicted], true == predicted
        corner = (predicted - 0.5, true - 0.5)
        color, depth = (style.BLUE, 0.1 + 0.3 * share) if right else (style.ORANGE, 0.2 + share)
        ax.add_patch(Rectangle(corner, 1, 1, color=color, alpha=min(depth, 0.6), linewidth=0))
        ax.text(
            predicted,
            true,
            str(matrix[true, predicted]),
            ha="center",
            va="center",
            fontweight="normal" if right else "bold",
        )
    ax.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), aspect="equal")
    ax.set(xticks=range(k), yticks=range(k), xticklabels=labels, yticklabels=labels)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.hlines(np.arange(k + 1) - 0.5, -0.5, k - 0.5, color=style.GRID, linewidth=style.THIN)
    ax.vlines(np.arange(k + 1) - 0.5, -0.5, k - 0.5, color=style.GRID, linewidth=style.THIN)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig
