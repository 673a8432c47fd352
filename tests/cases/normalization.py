"""Cases of normalization, dropout and the L2 penalty."""

from __future__ import annotations

from functools import partial, wraps
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.scratch import dropout, normalization, penalties
from tests.cases.common import Calls, Case, Refusal, Sizes, some_shape, with_options


def batch(rng: Generator, s: Sizes, *, images: bool) -> np.ndarray:
    shape = (s.n, s.d_in, s.d_out, 3) if images else (s.n and s.n + 2, s.d_in)  # rows: two or more
    return rng.normal(1, 2, size=shape)


def affine(rng: Generator, d: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=d), rng.normal(size=d)


def statistics(rng: Generator, s: Sizes) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=s.d_in), rng.uniform(0.1, 2, size=s.d_in)


def torch_batch_norm(X: Any, gamma: Any, beta: Any, **options: Any) -> torch.Tensor:
    return F.batch_norm(X, None, None, gamma, beta, training=True, **options)


def torch_fixed_norm(
    X: Any, gamma: Any, beta: Any, mean: Any, variance: Any, **options: Any
) -> torch.Tensor:
    return F.batch_norm(X, mean.detach(), variance.detach(), gamma, beta, **options)


def rows(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    return batch(rng, s, images=False), *affine(rng, s.d_in)


def images(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    return batch(rng, s, images=True), *affine(rng, s.d_in)


ONE_ROW = Refusal(
    "a batch of one",
    lambda X, gamma, beta: (X[:1], gamma, beta),
    r"at least two entries of each feature, got X of shape \(1, ",
)
BELOW_ZERO = Refusal(
    "a variance below 0",
    lambda X, gamma, beta, mean, variance: (X, gamma, beta, mean, -variance),
    "expected variances from 0 up, got -",
)


def rows_of_features(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    d = s.d_in + 2
    shape = (s.n, d) if rng.random() < 0.5 else (s.n, s.d_out, d)
    return rng.normal(1, 2, size=shape), *affine(rng, d)


def layer_norm(X: Any, gamma: Any, beta: Any) -> torch.Tensor:
    return F.layer_norm(X, gamma.shape, gamma, beta)


@wraps(dropout.dropout_forward)
def leave_the_same_out(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return dropout.dropout_forward(X, p=0.3, rng=np.random.default_rng(5))


def leave_the_same_out_in_torch(X: torch.Tensor) -> torch.Tensor:
    stays = np.random.default_rng(5).uniform(size=tuple(X.shape)) >= 0.3
    return torch.where(torch.tensor(stays), X / 0.7, 0.0)


CASES = [
    Case(
        normalization.batch_norm_forward,
        normalization.batch_norm_backward,
        torch=torch_batch_norm,
        draw=rows,
        refusals=(ONE_ROW,),
        takes_none=False,
    ),
    Case(
        with_options(normalization.batch_norm_forward, eps=0.1),
        normalization.batch_norm_backward,
        torch=partial(torch_batch_norm, eps=0.1),
        draw=images,
        takes_none=False,
    ),
    Case(
        normalization.fixed_norm_forward,
        normalization.fixed_norm_backward,
        torch=torch_fixed_norm,
        draw=lambda rng, s: (*rows(rng, s), *statistics(rng, s)),
        refusals=(BELOW_ZERO,),
    ),
    Case(
        with_options(normalization.fixed_norm_forward, eps=0.1),
        normalization.fixed_norm_backward,
        torch=partial(torch_fixed_norm, eps=0.1),
        draw=lambda rng, s: (*images(rng, s), *statistics(rng, s)),
    ),
    Case(
        normalization.layer_norm_forward,
        normalization.layer_norm_backward,
        torch=layer_norm,
        draw=rows_of_features,
        refusals=(
            Refusal(
                "no feature",
                lambda X, gamma, beta: (X[..., :0], gamma[:0], beta[:0]),
                "at least one feature, got X of shape",
            ),
        ),
    ),
    Case(
        leave_the_same_out,
        dropout.dropout_backward,
        torch=leave_the_same_out_in_torch,
        draw=lambda rng, s: (rng.normal(size=some_shape(rng, s)),),
    ),
    Case(
        with_options(penalties.l2_penalty_forward, weight_decay=0.1),
        penalties.l2_penalty_backward,
        torch=lambda W: 0.1 / 2 * (W**2).sum(),
        draw=lambda rng, s: (rng.normal(size=some_shape(rng, s)),),
        refusals=(Refusal("no weight", lambda W: (W[:0],), "at least one entry, got W of shape"),),
    ),
]

CALLS: Calls = {
    normalization.running_statistics: lambda rng, s: partial(
        normalization.running_statistics, batch(rng, s, images=False), *statistics(rng, s)
    ),
    dropout.dropout_forward: lambda rng, s: partial(
        dropout.dropout_forward, batch(rng, s, images=False), rng=rng
    ),
    penalties.l2_penalty_forward: lambda rng, s: partial(
        penalties.l2_penalty_forward, batch(rng, s, images=False), weight_decay=0.5
    ),
}
