"""Layers: objects that hold parameters and call the pairs of functions. No mathematics is here."""

from __future__ import annotations

from dlbook.scratch.layers.activations import (
    ELU,
    GELU,
    Activation,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from dlbook.scratch.layers.base import Layer, Operation
from dlbook.scratch.layers.convolution import AvgPool2d, Conv2d, Flatten, MaxPool2d
from dlbook.scratch.layers.dropout import Dropout
from dlbook.scratch.layers.linear import Linear
from dlbook.scratch.layers.networks import ACTIVATIONS, Sequential, mlp
from dlbook.scratch.layers.normalization import BatchNorm1d, BatchNorm2d, LayerNorm

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "Activation",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Operation",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "mlp",
]
