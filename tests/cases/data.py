"""Calls of what prepares and measures data."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.random import Generator

from dlbook import data, metrics
from tests.cases.common import Calls, Sizes, classes, logits


def fitted(rng: Generator, s: Sizes) -> data.Standardizer:
    return data.Standardizer().fit(rng.normal(size=(s.n + 1, s.d_in)))


def probabilities(rng: Generator, s: Sizes) -> np.ndarray:
    return rng.dirichlet(np.ones(s.d_out + 1), size=s.n)


CALLS: Calls = {
    data.load_delivery: lambda rng, s: partial(data.load_delivery),
    data.load_digits: lambda rng, s: partial(data.load_digits, rng=rng),
    data.load_two_digits: lambda rng, s: partial(data.load_two_digits, 3, 8, rng=rng),
    data.make_blobs: lambda rng, s: partial(data.make_blobs, s.n + 2, rng=rng),
    data.make_moons: lambda rng, s: partial(data.make_moons, s.n + 2, rng=rng),
    data.minibatches: lambda rng, s: partial(data.minibatches, s.n, min(s.n, s.d_in), rng=rng),
    data.one_hot: lambda rng, s: partial(data.one_hot, classes(rng, s), s.d_out),
    data.split: lambda rng, s: partial(
        data.split, np.zeros((40, s.d_in)), np.arange(40) % 2, rng=rng
    ),
    data.shared_rows: lambda rng, s: partial(
        data.shared_rows, rng.normal(size=(s.n, s.d_in)), rng.normal(size=(s.d_out, s.d_in))
    ),
    data.Standardizer.fit: lambda rng, s: partial(
        data.Standardizer.fit, data.Standardizer(), rng.normal(size=(s.n, s.d_in))
    ),
    data.Standardizer.transform: lambda rng, s: partial(
        data.Standardizer.transform, fitted(rng, s), rng.normal(size=(s.n, s.d_in))
    ),
    data.Standardizer.inverse: lambda rng, s: partial(
        data.Standardizer.inverse, fitted(rng, s), rng.normal(size=(s.n, s.d_in))
    ),
    metrics.accuracy: lambda rng, s: partial(metrics.accuracy, classes(rng, s), classes(rng, s)),
    metrics.confusion_matrix: lambda rng, s: partial(
        metrics.confusion_matrix, classes(rng, s), classes(rng, s), s.d_out
    ),
    metrics.predicted_classes: lambda rng, s: partial(metrics.predicted_classes, logits(rng, s)),
    metrics.top_k_accuracy: lambda rng, s: partial(
        metrics.top_k_accuracy, logits(rng, s), classes(rng, s), 1
    ),
    metrics.reliability_curve: lambda rng, s: partial(
        metrics.reliability_curve, probabilities(rng, s), classes(rng, s), s.d_in
    ),
    metrics.expected_calibration_error: lambda rng, s: partial(
        metrics.expected_calibration_error, probabilities(rng, s), classes(rng, s)
    ),
}
