"""Proofs of what the docstrings of optimizers, clipping and rates state beside their equations."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.random import Generator

from dlbook.scratch import clipping, optimizers, schedules, updates
from tests.proof import Pairs
from tests.statements import Statement, states, that
from tests.statements.optimizers import (
    ALPHA,
    DECAY,
    EPS,
    LR,
    MU,
    OF_ADAM,
    OF_RMSPROP,
    Rule,
    adagrad,
    adam,
    nesterov,
    rmsprop,
    sgd,
    steps,
)

PENALIZED = "λ: the gradient used is g + λ w, that of an L2 penalty ½ λ w²."
SLOPE = "λ, the slope of an L2 penalty ½ λ w² over w."


def penalty_slope(w: float) -> float:
    """Differentiate ½ λ w² by a complex step."""
    return (DECAY * (w + 1e-30j) ** 2 / 2).imag / 1e-30


def penalized(rule: Rule) -> Rule:
    return lambda w, g, *rest: rule(w, g + penalty_slope(w), *rest)


WITH_DECAY: dict[str, Any] = {"weight_decay": DECAY}
DECAYS = [
    steps(
        optimizers.SGD,
        PENALIZED,
        (penalized(sgd), WITH_DECAY),
        (penalized(nesterov), WITH_DECAY | {"momentum": MU, "nesterov": True}),
        states_of=1,
    ),
    steps(
        optimizers.Adagrad, PENALIZED, (penalized(adagrad), WITH_DECAY | {"eps": EPS}), states_of=1
    ),
    steps(
        optimizers.RMSprop,
        PENALIZED,
        (penalized(partial(rmsprop, mu=MU)), WITH_DECAY | OF_RMSPROP | {"momentum": MU}),
        states_of=2,
    ),
    steps(optimizers.Adam, PENALIZED, (penalized(adam), WITH_DECAY | OF_ADAM), states_of=2),
]


def slope_over_w(update: Callable[..., Any], states_of: int, **options: Any) -> Statement:
    """Prove that an update with decay is one without, of the gradient and the penalty's."""

    @states(update, SLOPE)
    def prove(rng: Generator) -> Pairs:
        for _ in range(50):
            w, g = rng.normal(size=(2, 4))
            state = rng.uniform(0, 2, size=(states_of, 4))
            decayed = update(w, g, *state, lr=LR, weight_decay=DECAY, **options)
            slopes = np.array([penalty_slope(number) for number in w])
            plain = update(w, g + slopes, *state, lr=LR, **options)
            yield from zip(decayed, plain, strict=True)
            yield slopes / w, np.full(4, DECAY)

    return prove


SLOPES = [
    slope_over_w(updates.sgd_update, 1, momentum=MU),
    slope_over_w(updates.adagrad_update, 1),
    slope_over_w(updates.rmsprop_update, 2, momentum=MU),
    slope_over_w(updates.adam_update, 2, t=3),
]


@states(updates.adamw_update, "λ: the share of w that is lost in a step is η λ.")
def share_of_w(rng: Generator) -> Pairs:
    for _ in range(100):
        w, rate, decay = rng.normal(size=3), *rng.uniform(size=2)
        after, *_ = updates.adamw_update(
            w, np.zeros(3), *np.zeros((2, 3)), t=1, lr=rate, weight_decay=decay
        )
        yield (w - after) / w, np.full(3, rate * decay)


@states(optimizers.AdamW, "λ: the share of each parameter that is lost in a step is η λ.")
def share_of_parameters(rng: Generator) -> Pairs:
    for _ in range(100):
        w, rate, decay = rng.normal(size=3), *rng.uniform(size=2)
        before = w.copy()
        optimizers.AdamW([w], rate, weight_decay=decay).step([np.zeros(3)])
        yield (before - w) / before, np.full(3, rate * decay)


@states(
    optimizers.SGD,
    "As in ``torch.optim.SGD`` the rate stands outside the velocity, which starts at 0: with a "
    "constant gradient the steps grow towards η g / (1 − μ).",
)
def sgd_with_a_constant_gradient(rng: Generator) -> Pairs:
    """A rate that changes on the way tells inside from outside."""
    for _ in range(20):
        (rate, mu), g = rng.uniform(0.1, 0.9, size=2), rng.normal(size=2)
        w, t = np.zeros(2), torch.zeros(2, dtype=torch.float64)
        ours, theirs = optimizers.SGD([w], rate, mu), torch.optim.SGD([t], rate, mu)
        t.grad = torch.tensor(g)
        sizes = []
        for step in range(400):
            if step == 3:
                ours.lr = theirs.param_groups[0]["lr"] = rate / 2
            last = w.copy()
            ours.step([g])
            sizes.append(np.abs(w - last))
            if step < 6:
                theirs.step()
                yield w.copy(), t.numpy().copy()
        yield that(np.all(np.diff(sizes[:3], axis=0) > 0))
        yield last - w, rate / 2 * g / (1 - mu)


@states(
    optimizers.RMSprop,
    "As in ``torch.optim.RMSprop`` ε stands outside the root, and the mean, which starts at 0, is "
    "not corrected for it: the first steps are up to 1 / √(1 − α), ten times, as large as the "
    "rate.",
)
def rmsprop_at_the_start(rng: Generator) -> Pairs:
    for _ in range(25):
        g = rng.normal(size=3)
        w, t = np.zeros(3), torch.zeros(3, dtype=torch.float64)
        ours, theirs = optimizers.RMSprop([w], LR, eps=1), torch.optim.RMSprop([t], LR, eps=1)
        for _ in range(3):
            ours.step([g])
            t.grad = torch.tensor(g)
            theirs.step()
            yield w.copy(), t.numpy().copy()
        for alpha in (ALPHA, 0.99):
            w = np.zeros(3)
            ours = optimizers.RMSprop([w], LR, alpha, eps=1e-30)
            ours.step([g])
            yield np.abs(w) / LR, np.full(3, 1 / math.sqrt(1 - alpha))
            for _ in range(4):
                last = w.copy()
                ours.step([rng.normal(size=3)])
                yield that(np.all(np.abs(w - last) <= LR / math.sqrt(1 - alpha)))
    yield 1 / math.sqrt(1 - 0.99), 10.0


@states(
    clipping.clip_by_norm,
    "The same as ``torch.nn.utils.clip_grad_norm_``, which changes the gradients in place and adds "
    "10⁻⁶ to the norm likewise.",
)
def clipped_as_in_torch(rng: Generator) -> Pairs:
    """Norms near 10⁻⁶ show what is added to them."""
    for scale in 10 ** rng.uniform(-7, 2, size=50):
        g = rng.normal(scale=scale, size=5)
        most = float(np.linalg.norm(g)) * rng.uniform(0.1, 1)
        (clipped,), norm = clipping.clip_by_norm([g], most)
        tensor = torch.zeros(5, dtype=torch.float64)
        tensor.grad = torch.tensor(g)
        held = tensor.grad
        their_norm = torch.nn.utils.clip_grad_norm_([tensor], most)
        yield clipped / scale, held.numpy() / scale
        yield norm / scale, float(their_norm) / scale
        yield held.numpy() / g, np.full(5, min(1.0, most / (math.hypot(*g) + 1e-6)))


@states(
    clipping.clip_by_value,
    "Cut every number of every gradient off at ``clip_value`` and at −``clip_value``.",
)
def cut_off(rng: Generator) -> Pairs:
    for _ in range(100):
        gradients, most = [rng.normal(size=4), rng.normal(size=(2, 2))], rng.uniform(0.5, 2)
        for found, g in zip(clipping.clip_by_value(gradients, most), gradients, strict=True):
            yield found.ravel(), [sorted((-most, entry, most))[1] for entry in g.ravel()]


def one_cycle_ends(rng: Generator) -> Pairs:
    for _ in range(100):
        T, rate, d, f = int(rng.integers(5, 12)), rng.uniform(), *rng.uniform(1, 30, size=2)
        options = {"max_lr": rate, "total_steps": T, "div_factor": d, "final_div_factor": f}
        yield schedules.one_cycle(0, **options) * d, rate
        yield schedules.one_cycle(T - 1, **options) * d * f, rate


ENDS = [
    states(schedules.one_cycle, text)(one_cycle_ends)
    for text in ("d: the rate at the start is η / d.", "f: the rate at the end is η / (d f).")
]
