"""Calls of what makes, checks and trains networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

from dlbook.scratch import (
    blocks,
    checks,
    clipping,
    evaluation,
    gradcheck,
    initialization,
    layers,
    linear,
    losses,
    neuron,
    optimizers,
    rates,
    reductions,
    training,
    updates,
)
from tests.cases.common import Calls, Sizes, classes, logits
from tests.cases.layers import network


def examples_for_network(rng: Generator, s: Sizes) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(s.n, s.d_in)), logits(rng, s)


def run_of(model: layers.Layer) -> tuple[layers.Layer, losses.Loss, optimizers.Optimizer]:
    return model, losses.mse, optimizers.SGD(model.parameters)


def call_lr_range_test(rng: Generator, s: Sizes) -> partial[Any]:
    run = (*run_of(network(rng, s)), *examples_for_network(rng, s))
    return partial(rates.lr_range_test, *run, batch_size=2, rng=rng)


def call_fit(rng: Generator, s: Sizes) -> partial[Any]:
    model = network(rng, s)
    sgd = optimizers.SGD(model.parameters, lr=0.01)
    X, Y = examples_for_network(rng, s)
    loop = partial(training.fit, model, losses.mse, sgd, X, Y, rng=rng, progress=False)
    return partial(loop, epochs=1, batch_size=2, validation=(X, Y))


def alike(rng: Generator, s: Sizes, number: int) -> list[np.ndarray]:
    """Draw arrays of one shape, none below 0, as a running mean of squares is not."""
    return [*rng.uniform(0.1, 1.0, size=(number, s.n, s.d_out))]


def call_gather(rng: Generator, s: Sizes) -> partial[Any]:
    w = logits(rng, s)
    (block,) = blocks.cut([w], states=1)
    return partial(blocks.Block.gather, block, [w], out=np.empty(w.size + 1))


def call_subtract(rng: Generator, s: Sizes) -> partial[Any]:
    w = logits(rng, s)
    (block,) = blocks.cut([w], states=1)
    return partial(blocks.Block.subtract, block, rng.normal(size=w.size), [w])


CALLS: Calls = {
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
    neuron.descend: lambda rng, s: partial(
        neuron.descend,
        rng.normal(size=(s.n, s.d_in)),
        rng.normal(size=(s.n, 1)),
        lr=0.01,
        steps=s.d_out,
    ),
    blocks.Block.gather: call_gather,
    blocks.Block.subtract: call_subtract,
    blocks.cut: lambda rng, s: partial(blocks.cut, [logits(rng, s)], states=2, capacity=2),
    clipping.clip_by_norm: lambda rng, s: partial(clipping.clip_by_norm, [logits(rng, s)], 0.5),
    clipping.clip_by_value: lambda rng, s: partial(clipping.clip_by_value, [logits(rng, s)], 0.5),
    optimizers.Optimizer.step: lambda rng, s: partial(
        optimizers.Optimizer.step, optimizers.RMSprop([logits(rng, s)]), [logits(rng, s)]
    ),
    optimizers.AdamW.step: lambda rng, s: partial(
        optimizers.AdamW.step, optimizers.AdamW([logits(rng, s)]), [logits(rng, s)]
    ),
    updates.sgd_update: lambda rng, s: partial(updates.sgd_update, *alike(rng, s, 3), lr=0.1),
    updates.adagrad_update: lambda rng, s: partial(
        updates.adagrad_update, *alike(rng, s, 3), lr=0.1
    ),
    updates.rmsprop_update: lambda rng, s: partial(
        updates.rmsprop_update, *alike(rng, s, 4), lr=0.1
    ),
    updates.adam_update: lambda rng, s: partial(updates.adam_update, *alike(rng, s, 4), t=1),
    updates.adamw_update: lambda rng, s: partial(updates.adamw_update, *alike(rng, s, 4), t=1),
    linear.linear_input_gradient: lambda rng, s: partial(
        linear.linear_input_gradient,
        logits(rng, s),
        (rng.normal(size=(s.n, s.d_in)), rng.normal(size=(s.d_in, s.d_out))),
    ),
    reductions.column_sum: lambda rng, s: partial(reductions.column_sum, logits(rng, s)),
    reductions.row_max: lambda rng, s: partial(reductions.row_max, logits(rng, s)),
    reductions.row_sum: lambda rng, s: partial(reductions.row_sum, logits(rng, s)),
    linear.linear_parameter_gradients: lambda rng, s: partial(
        linear.linear_parameter_gradients,
        logits(rng, s),
        (rng.normal(size=(s.n, s.d_in)), rng.normal(size=(s.d_in, s.d_out))),
    ),
    evaluation.evaluate: lambda rng, s: partial(
        evaluation.evaluate, network(rng, s), losses.mse, *examples_for_network(rng, s)
    ),
    evaluation.predict: lambda rng, s: partial(
        evaluation.predict, network(rng, s), examples_for_network(rng, s)[0], batch_size=2
    ),
    evaluation.share_right: lambda rng, s: partial(
        evaluation.share_right, losses.cross_entropy, logits(rng, s), classes(rng, s)
    ),
    rates.lr_range_test: call_lr_range_test,
    training.check_run: lambda rng, s: partial(training.check_run, *run_of(network(rng, s))),
    training.train_step: lambda rng, s: partial(
        training.train_step, *run_of(network(rng, s)), *examples_for_network(rng, s)
    ),
    training.fit: call_fit,
}

WITHOUT_CALL: dict[Callable[..., Any], str] = {
    layers.Layer.forward: "says what every layer promises; the layers are called",
    layers.Layer.backward: "the same",
}
