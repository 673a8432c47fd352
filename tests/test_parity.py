"""By hand equals the framework: every operation against PyTorch, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from tests.cases import CASES, Case, Sizes, on_random_shapes
from tests.shapes import location

TOLERANCE = 1e-10  # relative; entries near 0 are the difference of others near 1
NEAR_ZERO = 1e-13


def hold_parity(case: Case, sizes: Sizes, seed: int) -> None:
    """Compare output and gradients with PyTorch's, in float64, for a random upstream gradient."""
    rng = np.random.default_rng(seed)
    arguments = case.draw(rng, sizes)
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arguments]
    output, cache = case.forward(*arguments)
    theirs = case.torch(*tensors)
    agree(case.forward, "output", output, theirs)
    upstream = case.upstream(rng, output)
    theirs.backward(torch.tensor(upstream, dtype=torch.float64))  # type: ignore[no-untyped-call]
    for i, gradient in enumerate(case.gradients(upstream, cache)):
        agree(case.backward, f"gradient {i}", gradient, tensors[i].grad)


def agree(function: Callable[..., Any], what: str, ours: Any, theirs: Any) -> None:
    assert_allclose(
        ours,
        theirs.detach().numpy(),
        rtol=TOLERANCE,
        atol=NEAR_ZERO,
        err_msg=f"{location(function)}: {what} of {function.__name__} differs from PyTorch's: mend "
        "it, or its counterpart in tests/cases",
    )


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@on_random_shapes
def test_forward_and_backward_agree_with_pytorch(case: Case, sizes: Sizes, seed: int) -> None:
    hold_parity(case, sizes, seed)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_wrong_forward_or_backward_pass_turns_parity_red(case: Case) -> None:
    @wraps(case.forward)
    def wrong_forward(*arguments: Any) -> tuple[Any, Any]:
        output, cache = case.forward(*arguments)
        return output * (1 + 1e-9), cache

    @wraps(case.backward)
    def wrong_backward(*arguments: Any) -> Any:
        gradient = case.backward(*arguments)
        first, *rest = gradient if isinstance(gradient, tuple) else (gradient,)
        return (first * (1 + 1e-9), *rest)

    sizes = Sizes(4, 3, 2)
    told = r"dlbook/scratch/[\w/]+.py:\d+: {} of {} differs from PyTorch's: mend it"
    forward = told.format("output", case.forward.__name__)
    with pytest.raises(AssertionError, match=forward):
        hold_parity(replace(case, forward=wrong_forward), sizes, seed=0)
    backward = told.format("gradient 0", case.backward.__name__)
    with pytest.raises(AssertionError, match=backward):
        hold_parity(replace(case, backward=wrong_backward), sizes, seed=0)
