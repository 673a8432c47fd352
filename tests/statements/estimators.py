"""Proofs of what the docstrings of the estimators state."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
from numpy.random import Generator
from sklearn import neural_network

from dlbook.scratch import estimators
from tests.proof import Pairs
from tests.statements import states

OPTIONS: dict[str, Any] = {
    "hidden_layer_sizes": (3,),
    "alpha": 0.7,
    "random_state": 0,
    "batch_size": 8,
}
Estimator = estimators.MLPClassifier | estimators.MLPRegressor


def penalty(model: Estimator, n: int) -> float:
    weights = [w for W in model.coefs_ for w in W.ravel()]
    return 0.7 / (2 * n) * math.fsum(w * w for w in weights)


@states(
    estimators.MLPClassifier,
    "loss = cross-entropy + α / (2 n) Σ w² over the weights, for a batch of n examples",
)
def classifier(rng: Generator) -> Pairs:
    """What a step tells is the loss before it, of the biases that are no longer 0."""
    X, y = rng.normal(size=(8, 2)), np.arange(8) % 3
    model = estimators.MLPClassifier(**OPTIONS, learning_rate_init=0.01)
    model.partial_fit(X, y, classes=np.arange(3))
    for _ in range(100):
        P = model.predict_proba(X)
        entropy = -math.fsum(math.log(P[i, y[i]]) for i in range(8)) / 8
        expected = entropy + penalty(model, 8)
        yield model.partial_fit(X, y).loss_, expected


@states(
    estimators.MLPRegressor,
    "loss = mean squared error + α / (2 n) Σ w² over the weights, for a batch of n examples",
)
def regressor(rng: Generator) -> Pairs:
    X, Y = rng.normal(size=(8, 2)), rng.normal(size=(8, 2))
    model = estimators.MLPRegressor(**OPTIONS, learning_rate_init=0.01).partial_fit(X, Y)
    for _ in range(100):
        errors = (model.predict(X) - Y).ravel()
        expected = math.fsum(e * e for e in errors) / 16 + penalty(model, 8)
        yield model.partial_fit(X, Y).loss_, expected


@states(
    estimators.MLPRegressor,
    "Names and meaning are those of ``sklearn.neural_network.MLPRegressor``, with what is said of "
    "``MLPClassifier``, and without the ½ before its squared error: an ``alpha`` weighs half as "
    'much here, and a rate of "sgd" twice.',
)
def beside_scikit_learn(rng: Generator) -> Pairs:
    """Half their rate and twice their alpha make their steps, from the same weights."""
    plain: dict[str, Any] = {
        "hidden_layer_sizes": (3,),
        "batch_size": 8,
        "solver": "sgd",
        "momentum": 0.0,
    }
    for _ in range(5):
        X, y = rng.normal(size=(8, 2)), rng.normal(size=8)
        ours = estimators.MLPRegressor(
            **plain, alpha=0.6, learning_rate_init=0.01, random_state=0
        ).partial_fit(X, y)
        theirs = neural_network.MLPRegressor(
            **plain, alpha=0.3, learning_rate_init=0.02, random_state=0
        ).partial_fit(X, y)
        for name in ("coefs_", "intercepts_"):
            for from_us, to_them in zip(getattr(ours, name), getattr(theirs, name), strict=True):
                to_them[...] = from_us
        for _ in range(5):
            ours.partial_fit(X, y)
            theirs.partial_fit(X, y)
            for name in ("coefs_", "intercepts_"):
                for mine, yours in zip(getattr(ours, name), getattr(theirs, name), strict=True):
                    yield mine.copy(), yours.copy()
    assert set(inspect.signature(estimators.MLPRegressor).parameters) <= set(
        inspect.signature(neural_network.MLPRegressor).parameters
    )
