"""What a careless caller passes instead of an array of floats or a number, drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, max_side=4)
OTHER_KINDS = st.sampled_from([np.dtype(kind) for kind in ("i8", "u1", "?", "c16", "U3", "M8[s]")])
NO_FLOATS = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.integers(),
    st.floats(),
    st.lists(st.floats(), max_size=3),
    st.builds(np.zeros, SHAPES, dtype=OTHER_KINDS),
)
NO_NUMBER = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.booleans(),
    st.lists(st.floats(), max_size=2),
    st.complex_numbers(),
)
NOT_FROM_ZERO_UP = st.one_of(
    st.floats(max_value=0, exclude_max=True), st.just(np.inf), st.just(np.nan)
)

a_few_examples = settings(max_examples=25, derandomize=True, deadline=None, database=None)


def refused(function: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """Hold that a call is refused with what was expected and what came; return the message."""
    with pytest.raises((TypeError, ValueError)) as told:
        function(*arguments, **options)
    message = str(told.value)
    assert "expected" in message, message
    assert "got" in message, message
    return message
