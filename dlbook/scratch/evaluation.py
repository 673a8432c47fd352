"""What a trained network answers, and how right it is."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, Labels, check_whole
from dlbook.scratch.layers import Layer
from dlbook.scratch.losses import Loss, binary_cross_entropy_with_logits

__all__ = ["evaluate", "predict", "share_right"]


def predict(model: Layer, X: Array, *, batch_size: int = 1024) -> Array:
    """Compute a network's outputs, batch by batch, so that memory does not grow with X.

    Parameters
    ----------
    model : Layer
        The network.
    X : ndarray of shape (n, ...)
        Inputs, one example a row.
    batch_size : int, default 1024
        Examples at a time.

    Returns
    -------
    ndarray of shape (n, ...)
        Outputs: logits or predictions. ``dlbook.metrics.predicted_classes`` turns logits into
        classes.

    Raises
    ------
    ValueError
        If the network cannot take the inputs, or ``batch_size`` is below 1.
    TypeError
        If X does not hold what the network takes, or ``batch_size`` is not a whole number.

    Examples
    --------
    >>> from dlbook.scratch import layers
    >>> model = layers.mlp([2, 4], rng=np.random.default_rng(0))
    >>> predict(model, np.zeros((3, 2), "float32")).shape
    (3, 4)
    """
    check_whole("batch_size", batch_size)
    starts = range(batch_size, len(X), batch_size)
    first = model.forward(X[:batch_size])
    return np.concatenate([first, *(model.forward(X[i : i + batch_size]) for i in starts)])


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
    return {"loss": value, **share_right(loss, Z, y)}


def share_right(loss: Loss, Z: Array, y: Array | Labels) -> dict[str, float]:
    """Measure the accuracy of outputs, where targets are classes.

    Parameters
    ----------
    loss : tuple of callable
        The loss that the network is trained with, which tells what its outputs mean.
    Z : ndarray of shape (n, ...)
        Outputs, one example a row.
    y : ndarray of shape (n, ...)
        Class ids of shape (n,), or targets of the shape of the outputs.

    Returns
    -------
    dict of str to float
        ``accuracy`` in [0, 1], or nothing where targets are not classes.

    Examples
    --------
    >>> from dlbook.scratch.losses import cross_entropy
    >>> share_right(cross_entropy, np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([1, 1]))
    {'accuracy': 0.5}
    """
    if loss == binary_cross_entropy_with_logits:
        right = (Z > 0) == (y > 0.5)
    elif y.dtype.kind in "iu":
        right = Z.argmax(axis=1) == y
    else:
        return {}
    return {"accuracy": int(np.count_nonzero(right)) / right.size}
