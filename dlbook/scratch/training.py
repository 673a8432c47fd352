"""The training loop, once, for every network of the book that is written by hand."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from time import perf_counter

import numpy as np

from dlbook.data import minibatches
from dlbook.history import History
from dlbook.progress import epoch_bar
from dlbook.scratch.checks import (
    Array,
    Labels,
    check_finite,
    check_generator,
    check_number,
    check_whole,
    trusted,
)
from dlbook.scratch.clipping import TINY, clip_by_norm, clip_by_value
from dlbook.scratch.evaluation import evaluate, predict, share_right
from dlbook.scratch.layers import Layer
from dlbook.scratch.losses import Loss
from dlbook.scratch.optimizers import Optimizer
from dlbook.scratch.schedules import Schedule

__all__ = ["check_run", "evaluate", "fit", "predict", "train_step"]

Clip = Callable[[list[Array]], list[Array]]


def fit(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    X: Array,
    y: Array | Labels,
    *,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    validation: tuple[Array, Array | Labels] | None = None,
    schedule: Schedule | None = None,
    max_norm: float | None = None,
    clip_value: float | None = None,
    patience: int | None = None,
    progress: bool = True,
    history: History | None = None,
) -> History:
    """Train a network and record each epoch.

    ``train_loss`` and ``train_accuracy`` are means over the examples of the epoch, each example
    judged just before the step that learns from it; the validation's are measured at the end of
    the epoch.

    Parameters
    ----------
    model : Layer
        The network; its parameters change.
    loss : tuple of callable
        The pair (forward, backward) of a loss, such as ``cross_entropy``.
    optimizer : Optimizer
        Made with ``model.parameters``.
    X : ndarray of shape (n, ...)
        Inputs, one example a row.
    y : ndarray of shape (n, ...)
        Class ids of shape (n,), or targets of the shape of the outputs, as the loss asks for.
    epochs : int
        How often all examples are shown.
    batch_size : int
        Examples in a step; the last step of an epoch takes what is left.
    rng : Generator
        Shuffles the examples, anew for each epoch.
    validation : tuple of ndarray, optional
        Examples (X, y) to measure on after each epoch, and never to learn from.
    schedule : callable, optional
        Takes the number of a step of this run, 0 for the first, and returns its rate, which
        becomes ``optimizer.lr``; see ``dlbook.scratch.schedules``.
    max_norm : float, optional
        Clip the gradients of each step to this joint length, as ``clip_by_norm`` does.
    clip_value : float, optional
        Clip each number of each gradient to this size, as ``clip_by_value`` does.
    patience : int, optional
        Stop early: after so many epochs in a row without a new lowest validation loss. Whether the
        run stops early or not, the model then has the parameters of its best epoch.
    progress : bool, default True
        Show a progress bar.
    history : History, optional
        Where to record. Pass one to keep what was recorded when Ctrl-C ends the run.

    Returns
    -------
    History
        One row an epoch: ``epoch``, ``train_loss``, ``train_accuracy`` where targets are classes,
        the same two for ``validation`` where it is given, and ``seconds``.

    Raises
    ------
    ValueError
        If there is no example, X and y differ in length or hold NaN or infinity, the loss or the
        network cannot take them, a number is out of range, ``patience`` is given without
        ``validation`` or both ways to clip at once, or the optimizer holds other arrays than the
        model's; the message gives what came. Nothing has been changed then.
    TypeError
        If an array, a number or ``rng`` is of another kind; the message gives what came.

    Notes
    -----
    The mean of an epoch weights each batch by its size. The plain mean of the batches' means would
    count the examples of a smaller last batch more than the others.

    The first batch of a run is checked in full by every operation. Those after it have its shapes
    and dtypes, and are trusted.

    Examples
    --------
    >>> from dlbook.data import load_delivery
    >>> from dlbook.scratch import layers, losses, optimizers
    >>> X, Y = load_delivery()
    >>> rng = np.random.default_rng(0)
    >>> model = layers.Linear(1, 1, rng=rng, dtype=np.float64)
    >>> sgd = optimizers.SGD(model.parameters, lr=0.2)
    >>> history = fit(model, losses.mse, sgd, X - X.mean(), Y, epochs=200, batch_size=2, rng=rng)
    >>> print(f"{model.W.item():.2f} minutes a mile")
    3.40 minutes a mile
    """
    check_whole("epochs", epochs)
    check_whole("batch_size", batch_size)
    check_generator(rng)
    if patience is not None:
        check_whole("patience", patience)
        if validation is None:
            raise ValueError("expected validation examples to go with patience, got none")
    learn = partial(train_step, model, loss, optimizer, clip=_clipping(max_norm, clip_value))
    check_run(model, loss, optimizer, (X, y), *([] if validation is None else [validation]))
    rates = None if schedule is None else _rates(schedule, optimizer)
    history = History() if history is None else history
    best = _Best(model, patience)
    with epoch_bar(epochs, shown=progress) as advance:
        for epoch in range(epochs):
            start = perf_counter()
            batches = minibatches(len(X), batch_size, rng=rng)
            sums: dict[str, float] = defaultdict(float)
            if epoch == 0:
                _learn_batch(learn, loss, X, y, next(batches), rates, sums)
            with trusted():
                for batch in batches:
                    _learn_batch(learn, loss, X, y, batch, rates, sums)
            row = {f"train_{name}": total / len(X) for name, total in sums.items()}
            if validation is not None:
                measured = evaluate(model, loss, *validation)
                row |= {f"validation_{name}": value for name, value in measured.items()}
            history.record(**row, seconds=perf_counter() - start)
            advance(row["train_loss"], optimizer.lr)
            if patience is not None and best.is_over(row["validation_loss"]):
                break
    best.restore()
    return history


def _learn_batch(
    learn: Callable[[Array, Array | Labels], tuple[float, Array]],
    loss: Loss,
    X: Array,
    y: Array | Labels,
    batch: Labels,
    rates: Iterator[None] | None,
    sums: dict[str, float],
) -> None:
    """Learn from one batch, and add what was measured to the sums over the examples."""
    if rates is not None:
        next(rates)
    targets = y.take(batch, axis=0)
    value, Z = learn(X.take(batch, axis=0), targets)
    sums["loss"] += len(batch) * value
    for name, share in share_right(loss, Z, targets).items():
        sums[name] += len(batch) * share


def _rates(schedule: Schedule, optimizer: Optimizer) -> Iterator[None]:
    """Set the rate of each step, when asked to go on."""
    for step in count():
        rate = schedule(step)
        check_number(f"schedule({step})", rate, 0)
        optimizer.lr = rate
        yield


def _clipping(max_norm: float | None, clip_value: float | None) -> Clip | None:
    """Return how to clip, if at all."""
    if max_norm is not None and clip_value is not None:
        raise ValueError(f"expected max_norm or clip_value, got both: {max_norm} and {clip_value}")
    if max_norm is not None:
        check_number("max_norm", max_norm, TINY)
        return lambda gradients: clip_by_norm(gradients, max_norm)[0]
    if clip_value is not None:
        check_number("clip_value", clip_value, TINY)
        return lambda gradients: clip_by_value(gradients, clip_value)
    return None


class _Best:
    """The parameters and buffers of the epoch with the lowest validation loss."""

    def __init__(self, model: Layer, patience: int | None) -> None:
        self.model = model
        self.patience = patience
        self.loss = math.inf
        self.waited = 0
        self.kept: list[Array] = []

    def is_over(self, loss: float) -> bool:
        """Note an epoch; tell whether the patience is at its end."""
        self.waited += 1
        if loss < self.loss:
            self.loss = loss
            self.waited = 0
            self.kept = [array.copy() for array in self._arrays()]
        return self.waited == self.patience

    def restore(self) -> None:
        """Put the best parameters back, if any were kept."""
        if self.kept:
            for array, best in zip(self._arrays(), self.kept, strict=True):
                array[...] = best

    def _arrays(self) -> list[Array]:
        return [*self.model.parameters, *self.model.buffers]


def train_step(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    X: Array,
    y: Array | Labels,
    *,
    clip: Clip | None = None,
) -> tuple[float, Array]:
    """Make one step of training: forward, backward, and a change of the parameters.

    Parameters
    ----------
    model : Layer
        The network; its parameters change.
    loss : tuple of callable
        The pair (forward, backward) of a loss, such as ``cross_entropy``.
    optimizer : Optimizer
        Made with ``model.parameters``.
    X : ndarray of shape (n, ...)
        Inputs of a batch, one example a row.
    y : ndarray of shape (n, ...)
        Class ids of shape (n,), or targets of the shape of the outputs, as the loss asks for.
    clip : callable, optional
        Takes the list of gradients and returns the one to use.

    Returns
    -------
    loss : float
        The loss of the batch before the step.
    Z : ndarray of shape (n, ...)
        The outputs before the step.

    Raises
    ------
    ValueError, TypeError
        As the operations; nothing has been changed then.

    Examples
    --------
    >>> from dlbook.scratch import layers, losses, optimizers
    >>> model = layers.Linear(1, 1, rng=np.random.default_rng(0), dtype=np.float64)
    >>> sgd = optimizers.SGD(model.parameters, lr=0.1)
    >>> X, Y = np.ones((2, 1)), np.zeros((2, 1))
    >>> before, _ = train_step(model, losses.mse, sgd, X, Y)
    >>> after, _ = train_step(model, losses.mse, sgd, X, Y)
    >>> before > after
    True
    """
    loss_forward, loss_backward = loss
    Z = model.forward(X, training=True)
    value, cache = loss_forward(Z, y)
    model.backward_parameters(loss_backward(cache))
    gradients = model.gradients
    optimizer.step(gradients if clip is None else clip(gradients))
    return value, Z


def check_run(
    model: Layer, loss: Loss, optimizer: Optimizer, *parts: tuple[Array, Array | Labels]
) -> None:
    """Refuse what could not be trained, before any step is made.

    Parameters
    ----------
    model : Layer
        The network.
    loss : tuple of callable
        The pair (forward, backward) of a loss, such as ``cross_entropy``.
    optimizer : Optimizer
        Made with ``model.parameters``.
    *parts : tuple of ndarray
        Examples (X, y) to learn from or to measure on.

    Raises
    ------
    ValueError
        If the optimizer holds other arrays than the model, or examples cannot be taken; the message
        gives what came.
    TypeError
        If X or y is not an array of numbers; the message gives what it is.

    Examples
    --------
    >>> from dlbook.scratch import layers, losses, optimizers
    >>> model = layers.mlp([2, 4], rng=np.random.default_rng(0))
    >>> sgd = optimizers.SGD([w.copy() for w in model.parameters])
    >>> check_run(model, losses.mse, sgd)
    Traceback (most recent call last):
    ValueError: the optimizer would change other arrays than the model's: ...
    """
    if [id(w) for w in optimizer.parameters] != [id(w) for w in model.parameters]:
        raise ValueError(
            "the optimizer would change other arrays than the model's: "
            "make it with model.parameters"
        )
    for X, y in parts:
        _check_examples(model, loss, X, y)


def _check_examples(model: Layer, loss: Loss, X: Array, y: Array | Labels) -> None:
    """Refuse what network or loss could not take in some batch."""
    for name, array in (("X", X), ("y", y)):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"expected {name} to be an array, got {type(array).__name__}")
        if array.dtype.kind not in "fiu":
            raise TypeError(f"expected {name} to hold numbers, got {array.dtype}")
    if len(X) != len(y) or not len(X):
        raise ValueError(
            f"expected as many targets as examples, at least one, got X of shape {X.shape} and "
            f"y of shape {y.shape}"
        )
    check_finite("X", X)
    check_finite("y", y)
    Z = model.forward(X[:1])  # one row is enough to know the outputs' shape
    loss[0](np.repeat(Z, len(X), axis=0), y)
