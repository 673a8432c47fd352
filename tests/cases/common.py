"""What a case is made of, and how sample arguments are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.random import Generator


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
    takes_none: bool = True  # whether a batch of no example has an output; no mean has one

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


Draw = Callable[[Generator, Sizes], "partial[Any]"]
Calls = dict[Callable[..., Any], Draw]


def with_options(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Fix options of a function that stays known by its own name, docstring and place."""
    return wraps(function)(partial(function, **options))


def some_shape(rng: Generator, s: Sizes) -> tuple[int, ...]:
    return tuple(s)[: rng.integers(1, 4)]


def away_from_zero(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    shape = some_shape(rng, s)
    return (rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.1, 2.0, size=shape),)


def two_alike(rng: Generator, s: Sizes) -> tuple[np.ndarray, ...]:
    shape = some_shape(rng, s)
    return rng.normal(size=shape), rng.normal(size=shape)


def logits(rng: Generator, s: Sizes) -> np.ndarray:
    return rng.normal(size=(s.n, s.d_out))


def classes(rng: Generator, s: Sizes) -> np.ndarray:
    return rng.integers(0, s.d_out, size=s.n)


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
