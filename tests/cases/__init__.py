"""One entry for each operation: its functions, PyTorch's counterpart, how to draw its arguments.

``tests/test_contract.py`` and ``tests/test_parity.py`` run everything from this list: gradient
check, parity, shapes, dtypes, inputs left alone, bad input refused. To add an operation, write its
pair of functions in ``dlbook/scratch`` and one ``Case`` in the module for its kind.

``CALLS`` holds one call of every other public function that takes or returns arrays, for the shapes
that its docstring states.
"""

from __future__ import annotations

from tests.cases import (
    activations,
    autograd,
    convolution,
    data,
    estimators,
    initialization,
    layers,
    losses,
    maps,
    normalization,
    training,
)
from tests.cases.common import Calls, Case, Draw, Refusal, Sizes, on_random_shapes
from tests.cases.training import WITHOUT_CALL

__all__ = [
    "CALLS",
    "CASES",
    "WITHOUT_CALL",
    "Calls",
    "Case",
    "Draw",
    "Refusal",
    "Sizes",
    "on_random_shapes",
]

CASES = [
    case
    for module in (maps, convolution, normalization, activations, losses)
    for case in module.CASES
]

CALLS: Calls = {
    function: draw
    for module in (
        autograd,
        maps,
        convolution,
        normalization,
        activations,
        losses,
        initialization,
        layers,
        data,
        training,
        estimators,
    )
    for function, draw in module.CALLS.items()
}
