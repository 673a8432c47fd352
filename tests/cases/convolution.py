"""Cases of what works on images: patches, convolution, pooling."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.random import Generator
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.scratch import convolution, pooling
from tests.cases.common import Calls, Case, Refusal, Sizes, with_options


def images(rng: Generator, s: Sizes, least: int = 2) -> np.ndarray:
    """Draw images that need not be square."""
    h, w = rng.integers(least, least + 4, size=2)
    return rng.normal(size=(s.n, s.d_in, h, w))


def filters(rng: Generator, s: Sizes) -> tuple[np.ndarray, np.ndarray]:
    kh, kw = rng.integers(1, 3, size=2)
    return rng.normal(size=(s.d_out, s.d_in, kh, kw)), rng.normal(size=s.d_out)


def distinct(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    """Draw images without ties, far enough apart that a small step makes none."""
    X = images(rng, s, least=3)
    return (rng.permutation(X.size).reshape(X.shape) * 0.7,)


def convolution_case(**options: int) -> Case:
    return Case(
        with_options(convolution.conv2d_forward, **options),
        convolution.conv2d_backward,
        torch=partial(F.conv2d, **options),
        draw=lambda rng, s: (images(rng, s), *filters(rng, s)),
        refusals=(
            Refusal(
                "filters larger than the images",
                lambda X, W, b: (X, np.zeros((*W.shape[:3], 20)), b),
                "expected a kernel that fits into images of .*got one of",
            ),
        ),
    )


CASES = [
    Case(
        convolution.conv2d_forward,
        convolution.conv2d_backward,
        torch=F.conv2d,
        draw=lambda rng, s: (images(rng, s), *filters(rng, s)),
    ),
    convolution_case(stride=2),
    convolution_case(padding=1),
    convolution_case(stride=3, padding=2),
    Case(
        pooling.max_pool2d_forward,
        pooling.max_pool2d_backward,
        torch=partial(F.max_pool2d, kernel_size=2),
        draw=distinct,
    ),
    Case(
        with_options(pooling.max_pool2d_forward, size=3, stride=1),
        pooling.max_pool2d_backward,
        torch=partial(F.max_pool2d, kernel_size=3, stride=1),
        draw=distinct,
    ),
    Case(
        pooling.average_pool2d_forward,
        pooling.average_pool2d_backward,
        torch=partial(F.avg_pool2d, kernel_size=2),
        draw=lambda rng, s: (images(rng, s),),
    ),
    Case(
        with_options(pooling.average_pool2d_forward, size=3, stride=2),
        pooling.average_pool2d_backward,
        torch=partial(F.avg_pool2d, kernel_size=3, stride=2),
        draw=lambda rng, s: (images(rng, s, least=3),),
    ),
    Case(
        pooling.flatten_forward,
        pooling.flatten_backward,
        torch=partial(torch.flatten, start_dim=1),
        draw=lambda rng, s: (images(rng, s),),
    ),
]

CALLS: Calls = {
    convolution.patches: lambda rng, s: partial(convolution.patches, images(rng, s), (2, 2)),
    convolution.add_patches: lambda rng, s: partial(
        convolution.add_patches, rng.normal(size=(s.n, s.d_in, 2, 1, s.d_out, 3)), (s.d_out + 1, 3)
    ),
}
