"""Calls of layers, and of what keeps their state."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

from dlbook.scratch import layers, state
from tests.cases.common import Calls, Sizes, logits


def network(rng: Generator, s: Sizes) -> layers.Sequential:
    return layers.mlp([s.d_in, 3, s.d_out], rng=rng, dtype=np.float64)


def linear_layer(rng: Generator, s: Sizes) -> layers.Linear:
    return layers.Linear(s.d_in, s.d_out, rng=rng, dtype=np.float64)


def convolution(rng: Generator, s: Sizes) -> layers.Conv2d:
    return layers.Conv2d(s.d_in, s.d_out, 2, rng=rng, dtype=np.float64)


def rows(rng: Generator, s: Sizes) -> np.ndarray:
    return rng.normal(size=(s.n, s.d_in))


def images(rng: Generator, s: Sizes) -> np.ndarray:
    return rng.normal(size=(s.n, s.d_in, 4, 5))


def went_forward(layer: Any, rng: Generator, X: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return a layer after a forward pass, and a gradient to go back with."""
    return layer, rng.normal(size=layer.forward(X).shape)


CALLS: Calls = {
    layers.Linear.forward: lambda rng, s: partial(
        layers.Linear.forward, linear_layer(rng, s), rows(rng, s)
    ),
    layers.Linear.backward: lambda rng, s: partial(
        layers.Linear.backward, *went_forward(linear_layer(rng, s), rng, rows(rng, s))
    ),
    layers.Linear.backward_parameters: lambda rng, s: partial(
        layers.Linear.backward_parameters, *went_forward(linear_layer(rng, s), rng, rows(rng, s))
    ),
    layers.Activation.forward: lambda rng, s: partial(
        layers.Activation.forward, layers.ReLU(), logits(rng, s)
    ),
    layers.Activation.backward: lambda rng, s: partial(
        layers.Activation.backward, *went_forward(layers.Sigmoid(), rng, logits(rng, s))
    ),
    layers.Operation.forward: lambda rng, s: partial(
        layers.Operation.forward, convolution(rng, s), images(rng, s)
    ),
    layers.Operation.backward: lambda rng, s: partial(
        layers.Operation.backward, *went_forward(convolution(rng, s), rng, images(rng, s))
    ),
    layers.Layer.backward_parameters: lambda rng, s: partial(
        layers.Layer.backward_parameters, *went_forward(layers.ReLU(), rng, logits(rng, s))
    ),
    layers.Layer.state_dict: lambda rng, s: partial(layers.Layer.state_dict, network(rng, s)),
    layers.Sequential.forward: lambda rng, s: partial(
        layers.Sequential.forward, network(rng, s), rows(rng, s)
    ),
    layers.Sequential.backward: lambda rng, s: partial(
        layers.Sequential.backward, *went_forward(network(rng, s), rng, rows(rng, s))
    ),
    layers.Sequential.backward_parameters: lambda rng, s: partial(
        layers.Sequential.backward_parameters, *went_forward(network(rng, s), rng, rows(rng, s))
    ),
    state.check_state: lambda rng, s: partial(
        state.check_state, network(rng, s).state_dict(), network(rng, s).tensors
    ),
}
