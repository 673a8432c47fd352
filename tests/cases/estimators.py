"""Calls of the estimators with scikit-learn's interface."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

from dlbook.scratch.estimators import MLPClassifier, MLPRegressor
from tests.cases.common import Calls, Sizes

CLASSES = np.arange(3)


def labels(s: Sizes) -> np.ndarray:
    return np.arange(s.n + 3) % 3


def inputs(rng: Generator, s: Sizes) -> np.ndarray:
    return rng.normal(size=(s.n + 3, s.d_in))


def targets(rng: Generator, s: Sizes) -> np.ndarray:
    return rng.normal(size=(s.n + 3, s.d_out))


def soon_content(kind: type[Any]) -> Any:
    """Make an estimator that takes any epoch for the last one worth having."""
    return kind(hidden_layer_sizes=3, tol=1e6, n_iter_no_change=1, random_state=0)


def classifier(rng: Generator, s: Sizes) -> Any:
    return soon_content(MLPClassifier).partial_fit(inputs(rng, s), labels(s), CLASSES)


CALLS: Calls = {
    MLPClassifier.fit: lambda rng, s: partial(
        MLPClassifier.fit, soon_content(MLPClassifier), inputs(rng, s), labels(s)
    ),
    MLPClassifier.partial_fit: lambda rng, s: partial(
        MLPClassifier.partial_fit,
        soon_content(MLPClassifier),
        inputs(rng, s),
        labels(s),
        classes=CLASSES,
    ),
    MLPClassifier.predict: lambda rng, s: partial(
        MLPClassifier.predict, classifier(rng, s), inputs(rng, s)
    ),
    MLPClassifier.predict_proba: lambda rng, s: partial(
        MLPClassifier.predict_proba, classifier(rng, s), inputs(rng, s)
    ),
    MLPClassifier.predict_log_proba: lambda rng, s: partial(
        MLPClassifier.predict_log_proba, classifier(rng, s), inputs(rng, s)
    ),
    MLPRegressor.fit: lambda rng, s: partial(
        MLPRegressor.fit, soon_content(MLPRegressor), inputs(rng, s), targets(rng, s)
    ),
    MLPRegressor.partial_fit: lambda rng, s: partial(
        MLPRegressor.partial_fit, soon_content(MLPRegressor), inputs(rng, s), targets(rng, s)
    ),
    MLPRegressor.predict: lambda rng, s: partial(
        MLPRegressor.predict,
        soon_content(MLPRegressor).partial_fit(inputs(rng, s), targets(rng, s)),
        inputs(rng, s),
    ),
}
