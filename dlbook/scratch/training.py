"""The training loop, once, for every network of the book that is written by hand."""

from __future__ import annotations

from collections import defaultdict
from time import perf_counter

import numpy as np

from dlbook.data import minibatches
from dlbook.history import History
from dlbook.metrics import accuracy
from dlbook.progress import epoch_bar
from dlbook.scratch.checks import Array, Labels, check_finite, check_generator, check_whole
from dlbook.scratch.layers import Layer
from dlbook.scratch.losses import Loss, binary_cross_entropy_with_logits
from dlbook.scratch.optimizers import Optimizer

__all__ = ["evaluate", "fit"]


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
        network cannot take them, ``epochs`` or ``batch_size`` is below 1, or the optimizer holds
        other arrays than the model's; the message gives what came. Nothing has been changed then.
    TypeError
        If an array, a number or ``rng`` is of another kind; the message gives what came.

    Notes
    -----
    The mean of an epoch weights each batch by its size. The plain mean of the batches' means would
    count the examples of a smaller last batch more than the others.

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
    _check_optimizer(optimizer, model)
    for part in [(X, y)] if validation is None else [(X, y), validation]:
        _check_examples(model, loss, *part)
    history = History() if history is None else history
    with epoch_bar(epochs, shown=progress) as advance:
        for _ in range(epochs):
            start = perf_counter()
            trained = _train_epoch(model, loss, optimizer, X, y, batch_size, rng)
            row = {f"train_{name}": value for name, value in trained.items()}
            if validation is not None:
                measured = evaluate(model, loss, *validation)
                row |= {f"validation_{name}": value for name, value in measured.items()}
            history.record(**row, seconds=perf_counter() - start)
            advance(row["train_loss"], optimizer.lr)
    return history


def _train_epoch(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    X: Array,
    y: Array | Labels,
    batch_size: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Show every example once; return the means over them."""
    loss_forward, loss_backward = loss
    sums: dict[str, float] = defaultdict(float)
    for batch in minibatches(len(X), batch_size, rng=rng):
        Z = model.forward(X[batch], training=True)
        batch_loss, cache = loss_forward(Z, y[batch])
        model.backward(loss_backward(cache))
        optimizer.step(model.gradients)
        for name, mean in {"loss": batch_loss, **_accuracy(loss, Z, y[batch])}.items():
            sums[name] += len(batch) * mean
    return {name: total / len(X) for name, total in sums.items()}


def evaluate(model: Layer, loss: Loss, X: Array, y: Array | Labels) -> dict[str, float]:
    """Measure a network on examples, learning nothing from them.

    Parameters
    ----------
    model : Layer
        The network.
    loss : tuple of callable
        The pair (forward, backward) of a loss, such as ``cross_entropy``.
    X : ndarray of shape (n, ...)
        Inputs, one example a row.
    y : ndarray of shape (n, ...)
        Class ids of shape (n,), or targets of the shape of the outputs, as the loss asks for.

    Returns
    -------
    dict of str to float
        ``loss``, the mean over all examples, and, where targets are classes, ``accuracy`` in
        [0, 1].

    Raises
    ------
    ValueError
        If there is no example, or the network or the loss cannot take them; the message gives what
        came.
    TypeError
        If X or y does not hold what the network or the loss takes; the message gives what came.

    Notes
    -----
    Targets are classes if they are integers, of which the largest logit is held against the class,
    and with ``binary_cross_entropy_with_logits``, where a logit above 0 is held against a target
    above one half.

    Examples
    --------
    >>> from dlbook.scratch import layers, losses
    >>> model = layers.mlp([2, 4], rng=np.random.default_rng(0))
    >>> X, y = np.zeros((3, 2), "float32"), np.array([0, 0, 1])
    >>> measured = evaluate(model, losses.cross_entropy, X, y)
    >>> print(f"{measured['loss']:.4f} nats, {measured['accuracy']:.0%} right")
    1.3863 nats, 67% right
    """
    Z = model.forward(X)
    value, _ = loss[0](Z, y)
    return {"loss": value, **_accuracy(loss, Z, y)}


def _accuracy(loss: Loss, Z: Array, y: Array | Labels) -> dict[str, float]:
    """Return the share of right answers, or nothing where targets are not classes."""
    if loss == binary_cross_entropy_with_logits:
        return {"accuracy": float(((Z > 0) == (y > 0.5)).mean())}
    if y.dtype.kind in "iu":
        return {"accuracy": accuracy(Z.argmax(axis=1), y)}  # type: ignore[arg-type]  # integers
    return {}


def _check_optimizer(optimizer: Optimizer, model: Layer) -> None:
    if [id(w) for w in optimizer.parameters] != [id(w) for w in model.parameters]:
        raise ValueError(
            "the optimizer would change other arrays than the model's: "
            "make it with model.parameters"
        )


def _check_examples(model: Layer, loss: Loss, X: Array, y: Array | Labels) -> None:
    """Refuse what network or loss could not take in some batch, before any step is made."""
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
