"""Calls of the rules for starting weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.random import Generator

from dlbook.scratch import initialization
from tests.cases.common import Calls, Draw, Sizes


def a_layer(rule: Callable[..., Any]) -> Draw:
    def draw(rng: Generator, s: Sizes) -> partial[Any]:
        return partial(rule, s.d_in, s.d_out, rng=rng)

    return draw


CALLS: Calls = {
    initialization.lecun_normal: a_layer(initialization.lecun_normal),
    initialization.lecun_uniform: a_layer(initialization.lecun_uniform),
    initialization.normal: a_layer(initialization.normal),
    initialization.zeros: a_layer(initialization.zeros),
}
