"""Automatic differentiation of array expressions: backpropagation that derives itself.

A ``Tensor`` is an array that remembers how it was computed. Arithmetic on tensors builds a graph;
``backward`` walks it from the result to the parameters and applies the chain rule at each node,
with the rules that were derived by hand. Arrays and numbers in an expression are constants.
"""

from __future__ import annotations

from dlbook.scratch.autograd.functions import (
    cross_entropy,
    elu,
    exp,
    gelu,
    leaky_relu,
    log,
    log_softmax,
    operation,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from dlbook.scratch.autograd.tensor import Tensor, check_tensors, record

__all__ = [
    "Tensor",
    "check_tensors",
    "cross_entropy",
    "elu",
    "exp",
    "gelu",
    "leaky_relu",
    "log",
    "log_softmax",
    "operation",
    "record",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
