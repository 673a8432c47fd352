"""Calls of the autograd that take or return arrays."""

from __future__ import annotations

from functools import partial

from dlbook.scratch import autograd, losses
from tests.cases.common import Calls, classes, logits

CALLS: Calls = {
    autograd.Tensor.backward: lambda rng, s: partial(
        autograd.Tensor.backward,
        (x := autograd.Tensor(logits(rng, s))) * 2,
        [x],
        upstream=logits(rng, s),
    ),
    autograd.record: lambda rng, s: partial(
        autograd.record, "copy", logits(rng, s), (autograd.Tensor(logits(rng, s)),), lambda G: (G,)
    ),
    autograd.operation: lambda rng, s: partial(autograd.operation, *losses.mse),
    autograd.cross_entropy: lambda rng, s: partial(
        autograd.cross_entropy, autograd.Tensor(logits(rng, s)), classes(rng, s)
    ),
}
