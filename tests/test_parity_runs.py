"""Whole training runs against scikit-learn's, from the same weights, on the same batches."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from dlbook.data import make_moons
from dlbook.scratch.layers import mlp
from dlbook.scratch.losses import binary_cross_entropy_with_logits, cross_entropy
from dlbook.scratch.optimizers import Adam
from dlbook.scratch.training import train_step

ALMOST_NOTHING = 1e-300  # scikit-learn adds eps before the correction, we after: take it as none


def _both_runs(k: int) -> tuple[list[float], list[float]]:
    """Train both on the same 20 batches 5 times over; return the mean loss of each epoch."""
    rng = np.random.default_rng(0)
    X, y = make_moons(100, rng=rng, dtype=np.float64)
    if k > 2:
        y = y + (X[:, 0] > 1)
    model = mlp([2, 16, 8, 1 if k == 2 else k], rng=rng, dtype=np.float64)
    theirs = MLPClassifier(
        (16, 8),
        alpha=0.0,
        batch_size=5,
        learning_rate_init=0.01,
        epsilon=ALMOST_NOTHING,
        shuffle=False,
    )
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        theirs.partial_fit(X[:5], y[:5], classes=np.arange(k))  # makes its arrays
    for mine, own in zip(theirs.coefs_, model.parameters[::2], strict=True):
        mine[...] = own
    for mine, own in zip(theirs.intercepts_, model.parameters[1::2], strict=True):
        mine[...] = own
    del theirs._optimizer  # it makes a fresh one then, as at its first call
    theirs.loss_curve_, theirs.t_, theirs.n_iter_ = [], 0, 0
    for _ in range(5):
        theirs.partial_fit(X, y)

    loss = binary_cross_entropy_with_logits if k == 2 else cross_entropy
    target = y[:, None].astype(np.float64) if k == 2 else y
    adam = Adam(model.parameters, lr=0.01, eps=ALMOST_NOTHING)
    ours = []
    for _ in range(5):
        batches = np.arange(100).reshape(20, 5)
        losses = [train_step(model, loss, adam, X[b], target[b])[0] for b in batches]
        ours.append(float(np.mean(losses)))
    return ours, theirs.loss_curve_


def test_a_run_of_a_hundred_steps_has_the_loss_curve_of_scikit_learn() -> None:
    for k in (2, 3):
        ours, theirs = _both_runs(k)
        assert_allclose(ours, theirs, rtol=0, atol=1e-8)
        assert ours[-1] < 0.7 * ours[0]
