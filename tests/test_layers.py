from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from dlbook.scratch.gradcheck import gradcheck
from dlbook.scratch.initialization import xavier_uniform
from dlbook.scratch.layers import Layer, Linear, ReLU, Sequential, Sigmoid, mlp
from dlbook.scratch.losses import cross_entropy_backward, cross_entropy_forward


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_linear_layer_counts_maps_and_keeps_its_gradients_in_the_parameters_order() -> None:
    layer = Linear(3, 2, rng=rng(), dtype=np.float64)
    X, dZ = rng(1).normal(size=(5, 3)), rng(2).normal(size=(5, 2))
    assert_allclose(layer.forward(X), X @ layer.W + layer.b)
    assert_allclose(layer.backward(dZ), dZ @ layer.W.T)
    assert_allclose(layer.gradients[0], X.T @ dZ)
    assert_allclose(layer.gradients[1], dZ.sum(axis=0))
    assert layer.parameters[0] is layer.W
    assert layer.parameters[1] is layer.b
    assert_array_equal(layer.b, 0)


def test_a_linear_layer_starts_as_its_initialization_says() -> None:
    layer = Linear(3, 2, rng=rng(), initialization=xavier_uniform)
    assert_array_equal(layer.W, xavier_uniform(3, 2, rng=rng()))


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_a_whole_network_has_the_gradients_of_finite_differences(activation: str) -> None:
    model = mlp([3, 4, 5, 2], rng=rng(), activation=activation, dtype=np.float64)
    linear = [layer for layer in model.layers if isinstance(layer, Linear)]
    y = rng().integers(0, 2, size=6)

    def forward(X: np.ndarray, *parameters: np.ndarray) -> Any:
        for layer, W, b in zip(linear, parameters[::2], parameters[1::2], strict=True):
            layer.W, layer.b = W, b
        return cross_entropy_forward(model.forward(X), y)

    def backward(cache: Any) -> Any:
        dX = model.backward(cross_entropy_backward(cache))
        return dX, *model.gradients

    X = rng(1).normal(size=(6, 3))
    assert gradcheck(forward, backward, X, *model.parameters, rng=rng(2)) < 1e-7


@pytest.mark.parametrize(("activation", "theirs"), [("relu", "ReLU"), ("sigmoid", "Sigmoid")])
def test_a_whole_network_agrees_with_pytorch(activation: str, theirs: str) -> None:
    model = mlp([3, 4, 2], rng=rng(), activation=activation, dtype=np.float64)
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 4), getattr(torch.nn, theirs)(), torch.nn.Linear(4, 2)
    ).double()
    with torch.no_grad():
        for tensor, w in zip(net.parameters(), model.parameters, strict=True):
            tensor.copy_(torch.tensor(w.T))
    X, dZ = rng(1).normal(size=(5, 3)), rng(2).normal(size=(5, 2))
    inputs = torch.tensor(X, requires_grad=True)
    Z = net(inputs)
    Z.backward(torch.tensor(dZ))
    assert_allclose(model.forward(X), Z.detach().numpy(), rtol=1e-10)
    assert_allclose(model.backward(dZ), inputs.grad.numpy(), rtol=1e-10)  # type: ignore[union-attr]
    for gradient, tensor in zip(model.gradients, net.parameters(), strict=True):
        assert_allclose(gradient, tensor.grad.numpy().T, rtol=1e-10)  # type: ignore[union-attr]


def test_an_mlp_has_an_activation_between_layers_and_none_at_its_end() -> None:
    model = mlp([64, 32, 16, 10], rng=rng(), activation="sigmoid")
    kinds = [type(layer) for layer in model.layers]
    assert kinds == [Linear, Sigmoid, Linear, Sigmoid, Linear]
    assert [w.shape for w in model.parameters[::2]] == [(64, 32), (32, 16), (16, 10)]
    assert sum(w.size for w in mlp([64, 32, 10], rng=rng()).parameters) == 2410


def test_an_mlps_weights_start_as_wide_as_its_activation_asks_for() -> None:
    for activation, variance in [("relu", 2 / 300), ("sigmoid", 2 / 400)]:
        model = mlp([300, 100], rng=rng(), activation=activation)
        assert model.parameters[0].var() == pytest.approx(variance, rel=0.05)


def test_parameters_and_outputs_keep_the_dtype() -> None:
    for dtype in (np.float32, np.float64):
        model = mlp([3, 4, 2], rng=rng(), dtype=dtype)
        assert model.backward(model.forward(np.ones((1, 3), dtype))).dtype == dtype
        assert {w.dtype for w in [*model.parameters, *model.gradients]} == {np.dtype(dtype)}


def test_sequences_can_be_nested() -> None:
    inner = Sequential(Linear(3, 4, rng=rng()), ReLU())
    outer = Sequential(inner, Linear(4, 2, rng=rng()))
    assert [w.shape for w in outer.parameters] == [(3, 4), (4,), (4, 2), (2,)]
    assert outer.backward(outer.forward(np.ones((1, 3), np.float32))).shape == (1, 3)
    assert [g.shape for g in outer.gradients] == [w.shape for w in outer.parameters]


@pytest.mark.parametrize("layer", [Linear(2, 2, rng=rng()), ReLU(), Sequential(Sigmoid())])
def test_going_back_before_going_forward_is_told(layer: Layer) -> None:
    with pytest.raises(ValueError, match="nothing to go back through: call forward first"):
        layer.backward(np.ones((1, 2), np.float32))


def test_what_is_no_network_is_told() -> None:
    shared = ReLU()
    with pytest.raises(ValueError, match="each layer in one place only, got the same object twice"):
        Sequential(Linear(2, 2, rng=rng()), shared, Sequential(Linear(2, 2, rng=rng()), shared))
    with pytest.raises(TypeError, match=r"expected layers, got list: use Sequential\(\*layers\)"):
        Sequential([ReLU()])  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match="at least one layer, got none"):
        Sequential()
    with pytest.raises(ValueError, match=r"expected an activation of relu, .*, tanh, got 'maxout'"):
        mlp([2, 2], rng=rng(), activation="maxout")
    with pytest.raises(ValueError, match=r"inputs and outputs at least, got \[2\]"):
        mlp([2], rng=rng())
    with pytest.raises(ValueError, match="expected d_out of at least 1, got 0"):
        mlp([2, 0, 1], rng=rng())
