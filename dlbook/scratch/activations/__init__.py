"""Activation functions, each as a value, a forward and a backward."""

from __future__ import annotations

from dlbook.scratch.activations.bounded import (
    sigmoid,
    sigmoid_backward,
    sigmoid_forward,
    tanh,
    tanh_backward,
    tanh_forward,
)
from dlbook.scratch.activations.gaussian import (
    gelu,
    gelu_backward,
    gelu_forward,
    gelu_tanh,
    gelu_tanh_backward,
    gelu_tanh_forward,
)
from dlbook.scratch.activations.probabilities import (
    log_softmax,
    log_softmax_backward,
    log_softmax_forward,
    softmax,
    softmax_backward,
    softmax_forward,
)
from dlbook.scratch.activations.rectifiers import (
    elu,
    elu_backward,
    elu_forward,
    leaky_relu,
    leaky_relu_backward,
    leaky_relu_forward,
    relu,
    relu_backward,
    relu_forward,
)
from dlbook.scratch.activations.smooth import (
    silu,
    silu_backward,
    silu_forward,
    softplus,
    softplus_backward,
    softplus_forward,
)

__all__ = [
    "elu",
    "elu_backward",
    "elu_forward",
    "gelu",
    "gelu_backward",
    "gelu_forward",
    "gelu_tanh",
    "gelu_tanh_backward",
    "gelu_tanh_forward",
    "leaky_relu",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "log_softmax",
    "log_softmax_backward",
    "log_softmax_forward",
    "relu",
    "relu_backward",
    "relu_forward",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_forward",
    "silu",
    "silu_backward",
    "silu_forward",
    "softmax",
    "softmax_backward",
    "softmax_forward",
    "softplus",
    "softplus_backward",
    "softplus_forward",
    "tanh",
    "tanh_backward",
    "tanh_forward",
]
