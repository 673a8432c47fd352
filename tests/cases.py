"""One entry for each operation: its functions, PyTorch's counterpart, how to draw its arguments.

``tests/test_contract.py`` and ``tests/test_parity.py`` run everything from this list: gradient
check, parity, shapes, dtypes, inputs left alone, bad input refused. To add an operation, write its
pair of functions in ``dlbook/scratch`` and one ``Case`` here.

``CALLS`` holds one call of every other public function that takes or returns arrays, for the shapes
that its docstring states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.random import Generator
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook import data, metrics
from dlbook.scratch import (
    activations,
    checks,
    gradcheck,
    initialization,
    layers,
    linear,
    losses,
    neuron,
    optimizers,
    training,
)


class Sizes(NamedTuple):
    """The lengths that a case draws its arguments with."""

    n: int
    d_in: int
    d_out: int


class Refusal(NamedTuple):
    """Arguments that must be refused, besides wrong shapes and dtypes, which all cases share."""

    what: str
    spoil: Callable[..., tuple[Any, ...]]
    message: str


@dataclass(frozen=True)
class Case:
    """An operation."""

    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[..., Any]
    torch: Callable[..., torch.Tensor]
    draw: Callable[[Generator, Sizes], tuple[np.ndarray, ...]]
    value: Callable[..., Any] | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def name(self) -> str:
        return self.forward.__name__.removesuffix("_forward")

    def gradients(self, upstream: Any, cache: Any) -> tuple[np.ndarray, ...]:
        """Run the backward pass; a loss, which nothing follows, has no upstream gradient."""
        found = self.backward(cache) if np.ndim(upstream) == 0 else self.backward(upstream, cache)
        return found if isinstance(found, tuple) else (found,)

    def upstream(self, rng: Generator, output: Any) -> Any:
        """Draw an upstream gradient of an output's shape and dtype: random, never of ones."""
        if np.ndim(output) == 0:
            return 1.0
        return rng.normal(size=output.shape).astype(output.dtype)


def some_shape(rng: Generator, s: Sizes) -> tuple[int, ...]:
    return tuple(s)[: rng.integers(1, 4)]


def away_from_zero(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    shape = some_shape(rng, s)
    return (rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.1, 2.0, size=shape),)


def two_alike(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    shape = some_shape(rng, s)
    return rng.normal(size=shape), rng.normal(size=shape)


CASES = [
    Case(
        linear.linear_forward,
        linear.linear_backward,
        torch=lambda X, W, b: F.linear(X, W.T, b),
        draw=lambda rng, s: (
            rng.normal(size=(s.n, s.d_in)),
            rng.normal(size=(s.d_in, s.d_out)),
            rng.normal(size=s.d_out),
        ),
    ),
    Case(
        activations.sigmoid_forward,
        activations.sigmoid_backward,
        torch=torch.sigmoid,
        draw=lambda rng, s: (3 * rng.normal(size=some_shape(rng, s)),),
        value=activations.sigmoid,
    ),
    Case(
        activations.relu_forward,
        activations.relu_backward,
        torch=F.relu,
        draw=away_from_zero,
        value=activations.relu,
    ),
    Case(
        activations.softmax_forward,
        activations.softmax_backward,
        torch=partial(F.softmax, dim=-1),
        draw=lambda rng, s: (rng.normal(size=some_shape(rng, s)),),
        value=activations.softmax,
        refusals=(Refusal("no class", lambda Z: (Z[..., :0],), "at least one class"),),
    ),
    Case(
        losses.mse_forward,
        losses.mse_backward,
        torch=F.mse_loss,
        draw=two_alike,
        refusals=(Refusal("no entry", lambda Z, Y: (Z[:0], Y[:0]), "at least one entry"),),
    ),
    Case(
        losses.binary_cross_entropy_with_logits_forward,
        losses.binary_cross_entropy_with_logits_backward,
        torch=F.binary_cross_entropy_with_logits,
        draw=lambda rng, s: (
            3 * rng.normal(size=(shape := some_shape(rng, s))),
            rng.uniform(size=shape),
        ),
        refusals=(
            Refusal("no entry", lambda Z, Y: (Z[:0], Y[:0]), "at least one entry"),
            Refusal("a target of −1", lambda Z, Y: (Z, -np.ones_like(Y)), "from 0 to 1, got"),
            Refusal("a target of 2", lambda Z, Y: (Z, 2 + Y), "from 0 to 1, got"),
            Refusal("a target of NaN", lambda Z, Y: (Z, Y * np.nan), "from 0 to 1, got"),
        ),
    ),
    Case(
        losses.cross_entropy_forward,
        losses.cross_entropy_backward,
        torch=F.cross_entropy,
        draw=lambda rng, s: (
            3 * rng.normal(size=(s.n, s.d_out)),
            rng.integers(0, s.d_out, size=s.n),
        ),
        refusals=(
            Refusal("no row", lambda Z, y: (Z[:0], y[:0]), "at least one entry"),
            Refusal("a class of −1", lambda Z, y: (Z, y * 0 - 1), "from 0 to .*, got -1"),
            Refusal("a class of k", lambda Z, y: (Z, y * 0 + Z.shape[1]), "from 0 to .*, got"),
        ),
    ),
]


def logits(rng: Generator, s: Sizes) -> np.ndarray:
    return rng.normal(size=(s.n, s.d_out))


def classes(rng: Generator, s: Sizes) -> np.ndarray:
    return rng.integers(0, s.d_out, size=s.n)


def network(rng: Generator, s: Sizes) -> layers.Sequential:
    return layers.mlp([s.d_in, 3, s.d_out], rng=rng, dtype=np.float64)


def examples_for_network(rng: Generator, s: Sizes) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(s.n, s.d_in)), logits(rng, s)


def backward_of(layer: layers.Layer, rng: Generator, X: np.ndarray) -> partial[Any]:
    """Call the backward pass of a layer after a forward pass."""
    return partial(type(layer).backward, layer, rng.normal(size=layer.forward(X).shape))


def fitted(rng: Generator, s: Sizes) -> data.Standardizer:
    return data.Standardizer().fit(rng.normal(size=(s.n + 1, s.d_in)))


def call_fit(rng: Generator, s: Sizes) -> partial[Any]:
    model = network(rng, s)
    sgd = optimizers.SGD(model.parameters, lr=0.01)
    X, Y = examples_for_network(rng, s)
    loop = partial(training.fit, model, losses.mse, sgd, X, Y, rng=rng, progress=False)
    return partial(loop, epochs=1, batch_size=2, validation=(X, Y))


Draw = Callable[[Generator, Sizes], "partial[Any]"]

CALLS: dict[Callable[..., Any], Draw] = {
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
    checks.check_arrays: lambda rng, s: partial(checks.check_arrays, Z=(logits(rng, s), "n, k")),
    checks.check_finite: lambda rng, s: partial(checks.check_finite, "Z", logits(rng, s)),
    checks.check_gradients: lambda rng, s: partial(
        checks.check_gradients, [logits(rng, s)], [logits(rng, s)]
    ),
    checks.check_labels: lambda rng, s: partial(
        checks.check_labels, classes(rng, s), logits(rng, s)
    ),
    checks.check_parameters: lambda rng, s: partial(checks.check_parameters, [logits(rng, s)]),
    gradcheck.gradcheck: lambda rng, s: partial(
        gradcheck.gradcheck, *losses.mse, logits(rng, s), logits(rng, s), rng=rng
    ),
    initialization.he_normal: lambda rng, s: partial(
        initialization.he_normal, s.d_in, s.d_out, rng=rng
    ),
    initialization.he_uniform: lambda rng, s: partial(
        initialization.he_uniform, s.d_in, s.d_out, rng=rng
    ),
    initialization.xavier_normal: lambda rng, s: partial(
        initialization.xavier_normal, s.d_in, s.d_out, rng=rng
    ),
    initialization.xavier_uniform: lambda rng, s: partial(
        initialization.xavier_uniform, s.d_in, s.d_out, rng=rng
    ),
    layers.Linear.forward: lambda rng, s: partial(
        layers.Linear.forward,
        layers.Linear(s.d_in, s.d_out, rng=rng, dtype=np.float64),
        rng.normal(size=(s.n, s.d_in)),
    ),
    layers.Linear.backward: lambda rng, s: backward_of(
        layers.Linear(s.d_in, s.d_out, rng=rng, dtype=np.float64),
        rng,
        rng.normal(size=(s.n, s.d_in)),
    ),
    layers.Activation.forward: lambda rng, s: partial(
        layers.Activation.forward, layers.ReLU(), logits(rng, s)
    ),
    layers.Activation.backward: lambda rng, s: backward_of(layers.Sigmoid(), rng, logits(rng, s)),
    layers.Sequential.forward: lambda rng, s: partial(
        layers.Sequential.forward, network(rng, s), rng.normal(size=(s.n, s.d_in))
    ),
    layers.Sequential.backward: lambda rng, s: backward_of(
        network(rng, s), rng, rng.normal(size=(s.n, s.d_in))
    ),
    neuron.descend: lambda rng, s: partial(
        neuron.descend,
        rng.normal(size=(s.n, s.d_in)),
        rng.normal(size=(s.n, 1)),
        lr=0.01,
        steps=s.d_out,
    ),
    optimizers.SGD.step: lambda rng, s: partial(
        optimizers.SGD.step, optimizers.SGD([logits(rng, s)], lr=0.1), [logits(rng, s)]
    ),
    optimizers.Adam.step: lambda rng, s: partial(
        optimizers.Adam.step, optimizers.Adam([logits(rng, s)]), [logits(rng, s)]
    ),
    training.evaluate: lambda rng, s: partial(
        training.evaluate, network(rng, s), losses.mse, *examples_for_network(rng, s)
    ),
    training.fit: call_fit,
}

WITHOUT_CALL: dict[Callable[..., Any], str] = {
    layers.Layer.forward: "says what every layer promises; the layers are called",
    layers.Layer.backward: "the same",
    optimizers.Optimizer.step: "says what every optimizer promises; the optimizers are called",
}


def on_random_shapes(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test on lengths and seeds that Hypothesis draws, a batch of one always among them."""
    lengths = st.integers(1, 5)
    test = given(sizes=st.builds(Sizes, lengths, lengths, lengths), seed=st.integers(0, 2**32))(
        test
    )
    test = example(sizes=Sizes(1, 1, 1), seed=0)(test)
    test = example(sizes=Sizes(1, 3, 4), seed=1)(test)
    test = example(sizes=Sizes(4, 2, 3), seed=2)(test)
    return settings(max_examples=8, derandomize=True, deadline=None, database=None)(test)
