from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from dlbook.scratch import layers
from dlbook.scratch.gradcheck import gradcheck
from dlbook.scratch.initialization import xavier_uniform
from dlbook.scratch.layers import ACTIVATIONS, Layer, Linear, ReLU, Sequential, Sigmoid, mlp
from dlbook.scratch.losses import cross_entropy, cross_entropy_backward, cross_entropy_forward
from dlbook.scratch.optimizers import SGD
from dlbook.scratch.training import evaluate, fit
from tests.shapes import hold_shapes


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


@pytest.mark.parametrize("activation", ACTIVATIONS)
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


@pytest.mark.parametrize(
    ("activation", "theirs"), [("relu", "ReLU"), ("sigmoid", "Sigmoid"), ("tanh", "Tanh")]
)
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
    glorot = {"sigmoid", "tanh"}
    for activation in ACTIVATIONS:
        variance = 2 / 400 if activation in glorot else 2 / 300
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


def test_a_kind_of_layer_that_does_not_say_how_it_computes_is_told() -> None:
    X, empty = np.ones((1, 2)), layers.Operation()
    for layer in (Layer(), empty):
        with pytest.raises(NotImplementedError):
            layer.forward(X)
    with pytest.raises(NotImplementedError):
        Layer().backward(X)
    empty.cache = X
    with pytest.raises(NotImplementedError):
        empty.backward(X)


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


f64: Any = {"dtype": np.float64}

EVERY_KIND: list[tuple[Layer, torch.nn.Module, tuple[int, ...]]] = [
    (Linear(3, 2, rng=rng(), **f64), torch.nn.Linear(3, 2), (5, 3)),
    (layers.Conv2d(2, 3, 3, rng=rng(), **f64), torch.nn.Conv2d(2, 3, 3), (2, 2, 5, 6)),
    (
        layers.Conv2d(2, 3, 3, stride=2, padding=1, rng=rng(), **f64),
        torch.nn.Conv2d(2, 3, 3, stride=2, padding=1),
        (2, 2, 5, 6),
    ),
    (layers.MaxPool2d(), torch.nn.MaxPool2d(2), (2, 3, 5, 4)),
    (layers.MaxPool2d(3, stride=1), torch.nn.MaxPool2d(3, stride=1), (2, 3, 5, 4)),
    (layers.AvgPool2d(), torch.nn.AvgPool2d(2), (2, 3, 5, 4)),
    (layers.AvgPool2d(2, stride=1), torch.nn.AvgPool2d(2, stride=1), (2, 3, 5, 4)),
    (layers.AvgPool2d(3, stride=2), torch.nn.AvgPool2d(3, stride=2), (2, 3, 5, 4)),
    (layers.Flatten(), torch.nn.Flatten(), (2, 3, 5, 4)),
    (layers.BatchNorm1d(3, **f64), torch.nn.BatchNorm1d(3), (5, 3)),
    (
        layers.BatchNorm1d(3, eps=0.1, momentum=0.4, **f64),
        torch.nn.BatchNorm1d(3, eps=0.1, momentum=0.4),
        (5, 3),
    ),
    (layers.BatchNorm2d(3, **f64), torch.nn.BatchNorm2d(3), (2, 3, 5, 4)),
    (layers.LayerNorm(3, **f64), torch.nn.LayerNorm(3), (5, 4, 3)),
    (layers.LayerNorm(3, eps=0.1, **f64), torch.nn.LayerNorm(3, eps=0.1), (5, 3)),
    (layers.Dropout(0.0, rng=rng()), torch.nn.Dropout(0.0), (5, 3)),
    (layers.ELU(), torch.nn.ELU(), (5, 3)),
    (layers.ELU(0.3), torch.nn.ELU(0.3), (5, 3)),
    (layers.GELU(), torch.nn.GELU(), (5, 3)),
    (layers.GELU("tanh"), torch.nn.GELU("tanh"), (5, 3)),
    (layers.LeakyReLU(), torch.nn.LeakyReLU(), (5, 3)),
    (layers.LeakyReLU(0.3), torch.nn.LeakyReLU(0.3), (5, 3)),
    (layers.LogSoftmax(), torch.nn.LogSoftmax(dim=-1), (5, 3)),
    (ReLU(), torch.nn.ReLU(), (5, 3)),
    (Sigmoid(), torch.nn.Sigmoid(), (5, 3)),
    (layers.SiLU(), torch.nn.SiLU(), (5, 3)),
    (layers.Softmax(), torch.nn.Softmax(dim=-1), (5, 3)),
    (layers.Softplus(), torch.nn.Softplus(), (5, 3)),
    (layers.Tanh(), torch.nn.Tanh(), (5, 3)),
]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(
    ("layer", "module", "shape"), EVERY_KIND, ids=[str(module) for _, module, _ in EVERY_KIND]
)
def test_every_kind_of_layer_agrees_with_pytorchs(
    layer: Layer, module: torch.nn.Module, shape: tuple[int, ...], training: bool
) -> None:
    module.double().train(training)
    for w in layer.parameters:
        w[...] = rng(w.size).normal(size=w.shape)
    module.load_state_dict({k: torch.tensor(v) for k, v in layer.state_dict().items()})
    for step in range(2):
        X = rng(step).normal(1, 2, size=shape)
        inputs = torch.tensor(X, requires_grad=True)
        module.zero_grad()
        theirs = module(inputs)
        Z = layer.forward(X, training=training)
        assert_allclose(Z, theirs.detach().numpy(), rtol=1e-10, atol=1e-13)
        dZ = rng(step + 2).normal(size=Z.shape)
        theirs.backward(torch.tensor(dZ))
        dX = layer.backward(dZ)
        assert_allclose(dX, inputs.grad.numpy(), rtol=1e-10, atol=1e-13)  # type: ignore[union-attr]
        hold_shapes(type(layer).forward, {"self": layer, "X": X}, Z)
    assert [g.shape for g in layer.gradients] == [w.shape for w in layer.parameters]
    for gradient, tensor in zip(layer.gradients, module.parameters(), strict=True):
        expected = tensor.grad.numpy()  # type: ignore[union-attr]
        ours = gradient.T if gradient.ndim == 2 else gradient
        assert_allclose(ours, expected, rtol=1e-10, atol=1e-13)
    for name, array in layer.state_dict().items():
        assert_allclose(array, module.state_dict()[name].numpy(), rtol=1e-12, err_msg=name)


def test_every_layer_there_is_is_held_against_pytorchs() -> None:
    general = {"ACTIVATIONS", "Activation", "Layer", "Operation", "Sequential", "mlp"}
    held = {type(layer).__name__ for layer, _, _ in EVERY_KIND}
    assert held | general == set(layers.__all__)


def convolutional() -> tuple[Sequential, torch.nn.Sequential]:
    """Make the same small network in both halves, from the same parameters."""
    ours = Sequential(
        layers.Conv2d(1, 4, 3, padding=1, rng=rng(), **f64),
        layers.BatchNorm2d(4, **f64),
        ReLU(),
        layers.MaxPool2d(2),
        layers.Conv2d(4, 6, 3, stride=2, rng=rng(1), **f64),
        layers.Tanh(),
        layers.Flatten(),
        Linear(6, 5, rng=rng(2), **f64),
        layers.LayerNorm(5, **f64),
        layers.GELU(),
        Linear(5, 3, rng=rng(3), **f64),
    )
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 6, 3, stride=2),
        torch.nn.Tanh(),
        torch.nn.Flatten(),
        torch.nn.Linear(6, 5),
        torch.nn.LayerNorm(5),
        torch.nn.GELU(),
        torch.nn.Linear(5, 3),
    ).double()
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    return ours, theirs


def test_a_convolutional_network_trains_for_100_steps_as_pytorchs_does() -> None:
    model, net = convolutional()
    sgd = SGD(model.parameters, lr=0.1, momentum=0.5)
    theirs = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
    for step in range(100):
        X, y = rng(step).normal(size=(8, 1, 6, 6)), rng(step).integers(0, 3, size=8)
        value, cache = cross_entropy_forward(model.forward(X, training=True), y)
        model.backward(cross_entropy_backward(cache))
        sgd.step(model.gradients)
        theirs.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(torch.tensor(X)), torch.tensor(y))
        loss.backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
        theirs.step()
        assert value == pytest.approx(loss.item(), abs=1e-8)
    for name, array in model.state_dict().items():
        assert_allclose(array, net.state_dict()[name].numpy(), atol=1e-8, err_msg=name)


def test_a_convolutional_network_learns_by_fit() -> None:
    y = np.arange(60) % 3
    X = rng().normal(size=(60, 1, 6, 6)) + y[:, np.newaxis, np.newaxis, np.newaxis]
    model, _ = convolutional()
    sgd = SGD(model.parameters, lr=0.1, momentum=0.5)
    fit(model, cross_entropy, sgd, X, y, epochs=20, batch_size=20, rng=rng(), progress=False)
    assert evaluate(model, cross_entropy, X, y)["accuracy"] > 0.9


def test_gradients_are_none_before_the_first_way_back() -> None:
    assert all(kind().gradients == [] for kind in (layers.Flatten, layers.MaxPool2d))
    assert layers.LayerNorm(3).gradients == []


def test_dropout_leaves_out_in_training_alone_and_goes_back_the_same_way() -> None:
    layer, X = layers.Dropout(0.5, rng=rng()), np.ones((20, 10))
    assert_array_equal(layer.forward(X), X)
    Z = layer.forward(X, training=True)
    assert set(Z.ravel()) == {0.0, 2.0}
    assert_array_equal(layer.backward(X), Z)
    assert (layer.forward(X, training=True) != Z).any()


def test_a_sequence_is_out_of_training_unless_told_otherwise() -> None:
    model, X = Sequential(layers.Dropout(0.5, rng=rng())), np.ones((20, 10))
    assert_array_equal(model.forward(X), X)
    assert (model.forward(X, training=True) == 0).any()


def test_a_sequence_has_the_buffers_of_its_layers_in_their_order() -> None:
    first, second = layers.BatchNorm1d(2), layers.BatchNorm1d(3)
    buffers = Sequential(first, ReLU(), Sequential(second)).buffers
    assert [id(b) for b in buffers] == [id(b) for b in [*first.buffers, *second.buffers]]
    assert [b.size for b in buffers[:2]] == [2, 2]


@pytest.mark.parametrize("kind", ["BatchNorm1d", "BatchNorm2d", "LayerNorm"])
def test_a_norm_starts_as_pytorchs_does(kind: str) -> None:
    ours, theirs = getattr(layers, kind)(3).state_dict(), getattr(torch.nn, kind)(3).state_dict()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert_array_equal(array, theirs[name].numpy(), strict=True, err_msg=name)


def test_batch_norm_in_evaluation_leaves_its_statistics_alone() -> None:
    layer = layers.BatchNorm1d(2, **f64)
    before = layer.state_dict()
    layer.forward(rng().normal(size=(4, 2)))
    for name, array in layer.state_dict().items():
        assert_array_equal(array, before[name])


def test_a_batch_of_one_is_refused_by_batch_norm_before_anything_changes() -> None:
    layer = layers.BatchNorm1d(2, **f64)
    before = layer.state_dict()
    with pytest.raises(ValueError, match="at least two entries of each feature"):
        layer.forward(np.ones((1, 2)), training=True)
    for name, array in layer.state_dict().items():
        assert_array_equal(array, before[name])


def test_a_convolutions_filters_start_as_wide_as_its_initialization_says() -> None:
    layer = layers.Conv2d(20, 50, 5, rng=rng())
    assert layer.W.var() == pytest.approx(2 / (20 * 5 * 5), rel=0.05)
    assert layer.W.dtype == np.float32
    assert_array_equal(layer.b, 0)
    first = layers.Conv2d(2, 3, 4, rng=rng(), initialization=xavier_uniform).W[0]
    assert_array_equal(first.ravel(), xavier_uniform(2 * 4 * 4, 3, rng=rng())[:, 0])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: layers.Conv2d(0, 1, 3, rng=rng()), "expected c_in of at least 1, got 0"),
        (lambda: layers.Conv2d(1, 1, 3, stride=0, rng=rng()), "expected stride of at least 1"),
        (lambda: layers.Conv2d(1, 1, 3, padding=-1, rng=rng()), "expected padding of at least 0"),
        (lambda: layers.MaxPool2d(0), "expected size of at least 1, got 0"),
        (lambda: layers.AvgPool2d(2, stride=0), "expected stride of at least 1, got 0"),
        (lambda: layers.BatchNorm1d(0), "expected d of at least 1, got 0"),
        (lambda: layers.BatchNorm1d(2, momentum=1), "expected momentum from 0 up and below 1"),
        (lambda: layers.BatchNorm1d(2, momentum=-0.5), "expected momentum from 0 up and below 1"),
        (lambda: layers.BatchNorm2d(2, eps=0), "expected eps from"),
        (lambda: layers.LayerNorm(2, eps=-1), "expected eps from"),
        (lambda: layers.Dropout(1.0, rng=rng()), "expected p from 0 up and below 1, got 1.0"),
        (lambda: layers.GELU("erf"), "expected approximate of 'none' or 'tanh', got 'erf'"),
        (lambda: layers.BatchNorm1d(3).forward(np.ones((2, 3, 4, 4), "f")), "X of shape .n, 3."),
        (lambda: layers.BatchNorm2d(3).forward(np.ones((2, 3), "f")), "X of shape .n, 3, h, w."),
    ],
)
def test_a_layer_that_cannot_be_is_told(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()
