"""Cases of the activations."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.random import Generator
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.scratch import activations
from tests.cases.common import (
    Calls,
    Case,
    Refusal,
    Sizes,
    away_from_zero,
    some_shape,
    with_options,
)


def around_zero(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    return (3 * rng.normal(size=some_shape(rng, s)),)


def softplus(Z: torch.Tensor) -> torch.Tensor:
    """PyTorch's own turns linear at 20."""
    return torch.logaddexp(torch.zeros_like(Z), Z)


NO_CLASS = Refusal("no class", lambda Z: (Z[..., :0],), "at least one class")

CASES = [
    Case(
        activations.sigmoid_forward,
        activations.sigmoid_backward,
        torch=torch.sigmoid,
        draw=around_zero,
        value=activations.sigmoid,
    ),
    Case(
        activations.tanh_forward,
        activations.tanh_backward,
        torch=torch.tanh,
        draw=around_zero,
        value=activations.tanh,
    ),
    Case(
        activations.relu_forward,
        activations.relu_backward,
        torch=F.relu,
        draw=away_from_zero,
        value=activations.relu,
    ),
    Case(
        activations.leaky_relu_forward,
        activations.leaky_relu_backward,
        torch=F.leaky_relu,
        draw=away_from_zero,
        value=activations.leaky_relu,
    ),
    Case(
        with_options(activations.leaky_relu_forward, negative_slope=0.3),
        activations.leaky_relu_backward,
        torch=partial(F.leaky_relu, negative_slope=0.3),
        draw=away_from_zero,
        value=with_options(activations.leaky_relu, negative_slope=0.3),
    ),
    Case(
        activations.elu_forward,
        activations.elu_backward,
        torch=F.elu,
        draw=away_from_zero,
        value=activations.elu,
    ),
    Case(
        with_options(activations.elu_forward, alpha=0.3),
        activations.elu_backward,
        torch=partial(F.elu, alpha=0.3),
        draw=away_from_zero,
        value=with_options(activations.elu, alpha=0.3),
    ),
    Case(
        activations.softplus_forward,
        activations.softplus_backward,
        torch=softplus,
        draw=lambda rng, s: (10 * rng.normal(size=some_shape(rng, s)),),
        value=activations.softplus,
    ),
    Case(
        activations.silu_forward,
        activations.silu_backward,
        torch=F.silu,
        draw=around_zero,
        value=activations.silu,
    ),
    Case(
        activations.gelu_forward,
        activations.gelu_backward,
        torch=F.gelu,
        draw=around_zero,
        value=activations.gelu,
    ),
    Case(
        activations.gelu_tanh_forward,
        activations.gelu_tanh_backward,
        torch=partial(F.gelu, approximate="tanh"),
        draw=around_zero,
        value=activations.gelu_tanh,
    ),
    Case(
        activations.softmax_forward,
        activations.softmax_backward,
        torch=partial(F.softmax, dim=-1),
        draw=lambda rng, s: (rng.normal(size=some_shape(rng, s)),),
        value=activations.softmax,
        refusals=(NO_CLASS,),
    ),
    Case(
        activations.log_softmax_forward,
        activations.log_softmax_backward,
        torch=partial(F.log_softmax, dim=-1),
        draw=around_zero,
        value=activations.log_softmax,
        refusals=(NO_CLASS,),
    ),
]

CALLS: Calls = {}
