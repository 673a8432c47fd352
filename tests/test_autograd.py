"""The autograd against PyTorch, against the hand-written passes, and against known mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.data import load_digits
from dlbook.scratch import autograd, layers, losses, optimizers
from dlbook.scratch.autograd import Tensor, operation, record
from tests.cases import CASES, Case, Sizes
from tests.shapes import hold_shapes

Values = list[Any]
SHAPES: list[tuple[int, ...]] = [(), (3,), (1,), (2, 1), (1, 3), (2, 3), (4, 1, 3), (4, 2, 3)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


UNARY: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tanh": (autograd.tanh, torch.tanh),
    "sigmoid": (autograd.sigmoid, torch.sigmoid),
    "relu": (autograd.relu, F.relu),
    "leaky relu": (
        lambda x: autograd.leaky_relu(x, negative_slope=0.2),
        lambda x: F.leaky_relu(x, 0.2),
    ),
    "elu": (autograd.elu, F.elu),
    "gelu": (autograd.gelu, F.gelu),
    "silu": (autograd.silu, F.silu),
    "softplus": (autograd.softplus, F.softplus),
    "exp": (lambda x: autograd.exp(autograd.tanh(x)), lambda x: torch.exp(torch.tanh(x))),
    "log": (lambda x: autograd.log(x * x + 1), lambda x: torch.log(x * x + 1)),
    "neg": (lambda x: -x, lambda x: -x),
    "power": (lambda x: (x**2 + 1) ** 1.5 + x**0 + x**1, lambda x: (x**2 + 1) ** 1.5 + x**0 + x),
    "with numbers": (
        lambda x: 2 - x / 3 + 1 / (x * x + 0.5) - 4,
        lambda x: 2 - x / 3 + 1 / (x * x + 0.5) - 4,
    ),
    "sum": (lambda x: x.sum(), lambda x: x.sum()),
    "mean": (lambda x: x.mean(), lambda x: x.mean()),
    "flat": (lambda x: x.reshape(-1), lambda x: x.reshape(-1)),
    "array": (
        lambda x: np.arange(3.0) * x - np.ones(3),
        lambda x: torch.arange(3.0).double() * x - 1,
    ),
}
ON_AXES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sum of last": (lambda x: x.sum(-1), lambda x: x.sum(-1)),
    "sum of first, kept": (lambda x: x.sum(0, keepdims=True), lambda x: x.sum(0, keepdim=True)),
    "mean of last, kept": (lambda x: x.mean(-1, keepdims=True), lambda x: x.mean(-1, keepdim=True)),
    "mean of first": (lambda x: x.mean(axis=0), lambda x: x.mean(0)),
    "softmax": (autograd.softmax, lambda x: F.softmax(x, dim=-1)),
    "log_softmax": (autograd.log_softmax, lambda x: F.log_softmax(x, dim=-1)),
    "slice": (lambda x: x[..., ::2], lambda x: x[..., ::2]),
    "repeated index": (lambda x: x[..., [0, -1, 0]], lambda x: x[..., [0, -1, 0]]),
    "one": (lambda x: x[0], lambda x: x[0]),
    "product with transpose": (
        lambda x: x.reshape(-1, x.value.shape[-1]) @ x.reshape(-1, x.value.shape[-1]).T,
        lambda x: x.reshape(-1, x.shape[-1]) @ x.reshape(-1, x.shape[-1]).T,
    ),
}
BINARY: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "+": (lambda x, y: x + y, lambda x, y: x + y),
    "−": (lambda x, y: x - y, lambda x, y: x - y),
    "*": (lambda x, y: x * y, lambda x, y: x * y),
    "/": (lambda x, y: x / (y * y + 1), lambda x, y: x / (y * y + 1)),
}


@st.composite
def programs(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """Draw steps; each names an operation and which of the values so far it takes."""
    names = st.sampled_from([*UNARY, *ON_AXES, *BINARY])
    places = st.integers(0, 50)
    return draw(st.lists(st.tuples(names, places, places), min_size=3, max_size=10))


def compute(program: list[tuple[str, int, int]], mine: Values, theirs: Values) -> None:
    """Run a program on both sides; steps whose shapes do not fit are left out on both."""
    for name, i, j in program:
        i, j = i % len(mine), j % len(mine)
        if name in BINARY:
            try:
                shape = np.broadcast_shapes(mine[i].value.shape, mine[j].value.shape)
            except ValueError:
                continue
            if np.prod(shape) > 200:
                continue
            both = BINARY[name]
            mine.append(both[0](mine[i], mine[j]))
            theirs.append(both[1](theirs[i], theirs[j]))
        else:
            x = mine[i].value
            if (
                (name in ON_AXES and not x.ndim)
                or (name == "array" and x.shape[-1:] not in [(3,), (1,), ()])
                or x.size > 200
            ):
                continue
            ours, torchs = (UNARY | ON_AXES)[name]
            mine.append(ours(mine[i]))
            theirs.append(torchs(theirs[i]))
        # keep numbers small, on both sides alike
        mine[-1], theirs[-1] = autograd.tanh(mine[-1]), torch.tanh(theirs[-1])


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(
    shapes=st.lists(st.sampled_from(SHAPES), min_size=2, max_size=4),
    program=programs(),
    seed=st.integers(0, 2**32),
)
def test_random_expressions_and_their_gradients_agree_with_pytorch(
    shapes: list[tuple[int, ...]], program: list[tuple[str, int, int]], seed: int
) -> None:
    values = [rng(seed).normal(size=shape) for shape in shapes]
    mine: Values = [Tensor(value) for value in values]
    theirs: Values = [torch.tensor(value, requires_grad=True) for value in values]
    leaves = list(zip(mine, theirs, strict=True))
    compute(program, mine, theirs)
    assert_allclose(mine[-1].value, theirs[-1].detach().numpy(), rtol=1e-10, atol=1e-13)
    upstream = rng(seed + 1).normal(size=mine[-1].value.shape)
    theirs[-1].backward(torch.tensor(upstream))
    used = [(x, t) for x, t in leaves if t.grad is not None]
    for G, (x, t) in zip(mine[-1].backward([x for x, _ in used], upstream), used, strict=True):
        assert G.shape == x.value.shape
        assert_allclose(G, t.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "shapes",
    [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2))],
)
def test_matrix_products_agree_with_pytorch_stacks_of_them_too(shapes: Any) -> None:
    a, b = (rng(i).normal(size=shape) for i, shape in enumerate(shapes))
    A, B = Tensor(a), Tensor(b)
    s, t = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
    product = A @ B
    upstream = rng(2).normal(size=product.value.shape)
    (s @ t).backward(torch.tensor(upstream))  # type: ignore[no-untyped-call]  # PyTorch's own
    for G, theirs in zip(product.backward([A, B], upstream), (s, t), strict=True):
        assert theirs.grad is not None
        assert_allclose(G, theirs.grad.numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_hand_written_pair_becomes_an_operation(case: Case) -> None:
    """In a graph, with an array as each argument that takes no gradient, and values used twice."""
    arguments = case.draw(rng(), Sizes(4, 3, 2))
    output, cache = case.forward(*arguments)
    upstream = np.asarray(case.upstream(rng(), output), dtype=np.float64)
    by_hand = case.gradients(upstream, cache)
    floats = range(len(by_hand))
    tensors = [Tensor(arguments[i]) for i in floats]
    doubled = [2 * t for t in tensors]
    halved = [d - t for d, t in zip(doubled, tensors, strict=True)]  # the tensor, used twice
    made = operation(case.forward, case.backward)(*halved, *arguments[len(by_hand) :])
    assert_array_equal(made.value, output)
    for G, hand in zip(made.backward(tensors, upstream), by_hand, strict=True):
        assert_allclose(G, hand, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", [*UNARY])
def test_functions_of_one_number_take_a_gradient(name: str) -> None:
    ours, theirs = UNARY[name]
    x, t = Tensor(np.array(0.7)), torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    mine = ours(x).sum()
    theirs(t).sum().backward()
    assert t.grad is not None
    assert_allclose(mine.backward([x])[0], t.grad.numpy(), rtol=1e-10)


def test_cross_entropy_has_the_gradient_that_was_derived_by_hand() -> None:
    z, y = 5 * rng().normal(size=(6, 4)), np.array([0, 3, 3, 1, 2, 0])
    loss, cache = losses.cross_entropy_forward(z, y)
    Z = Tensor(z)
    mine = autograd.cross_entropy(Z, y)
    assert_allclose(mine.value, loss, rtol=1e-12)
    assert_allclose(mine.backward([Z])[0], losses.cross_entropy_backward(cache), atol=1e-15)


def test_a_hundred_steps_on_the_digits_are_those_of_the_hand_written_passes() -> None:
    X, y = load_digits(rng=rng(), dtype=np.float64).train
    model = layers.mlp([64, 32, 10], rng=rng(1), dtype=np.float64)
    parameters = [Tensor(w.copy()) for w in model.parameters]
    by_hand = optimizers.SGD(model.parameters, lr=0.1, momentum=0.9)
    by_itself = optimizers.SGD([p.value for p in parameters], lr=0.1, momentum=0.9)
    W1, b1, W2, b2 = parameters
    order = rng(2)
    seen = []
    for _ in range(100):
        batch = order.integers(0, len(X), size=64)
        value, cache = losses.cross_entropy_forward(model.forward(X[batch]), y[batch])
        model.backward(losses.cross_entropy_backward(cache))
        by_hand.step(model.gradients)

        loss = autograd.cross_entropy(autograd.relu(X[batch] @ W1 + b1) @ W2 + b2, y[batch])
        by_itself.step(loss.backward(parameters))
        assert abs(float(loss.value) - value) < 1e-10
        seen.append(value)
    assert seen[-1] < 0.2 * seen[0], "it learned"
    for tensor, w in zip(parameters, model.parameters, strict=True):
        assert_allclose(tensor.value, w, rtol=0, atol=1e-10)


def test_a_value_used_twice_gets_the_sum_of_its_gradients() -> None:
    x = Tensor(np.array([2.0, 3.0]))
    y = x * x  # d/dx x² + x³ + e^x, all through x or y
    (G,) = (y + y * x + autograd.exp(x)).sum().backward([x])
    assert_allclose(G, 2 * x.value + 3 * x.value**2 + np.exp(x.value), rtol=1e-12)


def test_a_gradient_that_is_overwritten_instead_of_added_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plant the mistake: the last use of a value wins."""

    def overwriting(self: Tensor, wrt: list[Tensor]) -> list[Any]:
        gradients = {self: np.ones_like(self.value)}
        for tensor in self._last_made_first():
            rules = tensor._rule(gradients[tensor])
            gradients |= dict(zip(tensor.sources, rules, strict=True))
        return [gradients[tensor] for tensor in wrt]

    monkeypatch.setattr(Tensor, "backward", overwriting)
    with pytest.raises(AssertionError):
        test_a_value_used_twice_gets_the_sum_of_its_gradients()


def test_a_second_backward_pass_returns_the_same_and_changes_nothing() -> None:
    x = Tensor(rng().normal(size=(3, 2)))
    y = autograd.tanh(x) * x
    upstream = rng(1).normal(size=(3, 2))
    kept = upstream.copy()
    (first,) = y.backward([x], upstream)
    first_copy = first.copy()
    first[:] = np.nan  # what a caller does to a result reaches nobody
    (second,) = y.backward([x], upstream)
    assert_array_equal(second, first_copy)
    assert_array_equal(upstream, kept)


def test_gradients_that_are_equal_are_not_the_same_array() -> None:
    x, y = Tensor(np.ones(3)), Tensor(np.ones(3))
    upstream = np.ones(3)
    dx, dy = (x + y).backward([x, y], upstream)
    assert not np.shares_memory(dx, dy)
    assert not np.shares_memory(dx, upstream)


def test_gradients_of_what_lies_on_the_way_can_be_asked_for() -> None:
    x = Tensor(np.array([1.0, 2.0]))
    middle = x * x
    loss = (3 * middle).sum()
    dx, d_middle, d_loss, again = loss.backward([x, middle, loss, x])
    assert_array_equal(d_middle, [3, 3])
    assert_array_equal(dx, [6, 12])
    assert_array_equal(again, dx)
    assert d_loss == 1


def test_a_chain_of_50_000_operations_does_not_overflow_the_stack() -> None:
    x = Tensor(np.array(1.0))
    y = x
    for _ in range(50_000):
        y = y + x
    assert y.backward([x]) == [50_001]


def test_a_graph_whose_paths_double_at_every_step_is_walked_once() -> None:
    x = Tensor(np.array(1.0))
    y = x
    for _ in range(60):
        y = y + y  # 2^60 paths
    assert y.backward([x]) == [2.0**60]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_and_inputs_too(dtype: Any) -> None:
    x, A = rng().normal(size=(2, 3)).astype(dtype), rng(1).normal(size=(3, 2)).astype(dtype)
    X = Tensor(x)
    kept = x.copy()
    loss = autograd.cross_entropy(
        autograd.sigmoid(2 * X / 3 + np.float64(0.1)) ** 2 @ A, np.array([0, 1])
    )
    (G,) = (loss * operation(*losses.mse)(X, A.T)).backward([X])
    assert (loss.value.dtype, G.dtype) == (dtype, dtype)
    assert_array_equal(x, kept)


def test_constants_take_no_gradient() -> None:
    called = []

    def rule(G: Any) -> Any:
        called.append(G)
        return (G,)

    w, c = Tensor(np.ones(2)), Tensor(np.ones(2), constant=True)
    fixed = record("copy", c.value, (c,), rule)
    assert fixed.constant
    (G,) = (w * fixed + np.ones(2)).sum().backward([w])
    assert_array_equal(G, [1, 1])
    assert called == [], "nothing is computed behind a constant"
    with pytest.raises(ValueError, match=r"expected wrt\[1\] to take a gradient, got a constant"):
        (w * fixed).sum().backward([w, fixed])


def test_a_number_in_an_expression_is_a_constant_that_is_called_by_its_value() -> None:
    c = Tensor(np.ones(2), constant=True)
    for y, name in ((c * 2.5, "2.5"), (c + 1, "1"), (c / np.float64(0.125), "0.125")):
        assert y.constant
        assert (y.sources[1].constant, y.sources[1].name) == (True, name)
    by_array = c * np.ones(2)
    assert (by_array.constant, by_array.sources[1].name) == (True, "")


def test_what_stands_left_of_a_tensor_may_be_a_number_or_an_array() -> None:
    x, a = Tensor(np.array([2.0, 4.0])), np.array([1.0, 3.0])
    for y, value, slope in [
        (1 + x, [3, 5], [1, 1]),
        (1 - x, [-1, -3], [-1, -1]),
        (3 * x, [6, 12], [3, 3]),
        (8 / x, [4, 2], [-2, -0.5]),
        (a + x, [3, 7], [1, 1]),
        (a - x, [-1, -1], [-1, -1]),
        (a * x, [2, 12], [1, 3]),
        (a / x, [0.5, 0.75], [-1 / 4, -3 / 16]),
    ]:
        assert_array_equal(y.value, value)
        assert_array_equal(y.sum().backward([x])[0], slope)


def test_a_rule_that_forgets_a_source_is_told() -> None:
    x, y = Tensor(np.ones(2)), Tensor(np.ones(2))
    forgetful = record("+", x.value + y.value, (x, y), lambda G: (G,))
    with pytest.raises(ValueError, match="shorter"):
        forgetful.sum().backward([x])


def test_a_computed_value_cannot_be_changed_behind_its_rules() -> None:
    w = Tensor(np.ones(2))
    y = autograd.exp(w)
    before = y
    with pytest.raises(ValueError, match="read-only"):
        y.value[0] = 5
    with pytest.raises(TypeError, match="does not support item assignment"):
        y[0] = 5  # type: ignore[index]  # on purpose
    y += 1
    assert y is not before
    assert_array_equal(before.value, np.exp(np.ones(2)))
    w.value[0] = 7
    assert w.value[0] == 7, "a parameter is the optimizer's to change"
    assert_array_equal(w.reshape(2, 1).value.ravel(), w.value)


def test_numbers_near_the_limits_stay_finite() -> None:
    Z = Tensor(np.array([[1e4, -1e4, 0.0]]))
    for y in range(3):
        (G,) = autograd.cross_entropy(Z, np.array([y])).backward([Z])
        assert_allclose(G, np.array([[1, 0, 0]]) - np.eye(3)[[y]])
    for f in (autograd.sigmoid, autograd.tanh, autograd.softmax, autograd.relu):
        assert np.isfinite(f(Z).backward([Z], np.ones((1, 3)))[0]).all()


@pytest.mark.parametrize(
    ("act", "error", "told"),
    [
        (
            lambda x: (x * 2).backward([x]),
            ValueError,
            r"upstream gradient of shape \(2, 3\).*got none: sum",
        ),
        (
            lambda x: x.backward([x], np.ones(3)),
            ValueError,
            r"upstream of shape \(2, 3\).*got \(3,\)",
        ),
        (lambda x: x.backward([x], np.ones((2, 3), np.float32)), TypeError, "upstream in float64"),
        (
            lambda x: x.sum().backward([x.value]),
            TypeError,
            r"expected a Tensor, got ndarray: use Tensor",
        ),
        (
            lambda x: x.sum().backward([Tensor(np.ones(2))]),
            ValueError,
            r"computed from wrt\[0\], of shape \(2,\)",
        ),
        (lambda x: Tensor([1.0]), TypeError, "array of floats, got list"),  # type: ignore[arg-type]
        (lambda x: Tensor(np.arange(3)), TypeError, "hold floats, got int64"),  # type: ignore[arg-type]
        (lambda x: x + np.arange(3), TypeError, "hold floats, got int64"),
        (lambda x: np.arange(3) * x, TypeError, "hold floats, got int64"),
        (lambda x: x * "2", TypeError, "array of floats, got str"),
        (lambda x: x + np.ones(3, np.float32), TypeError, "one dtype, got float64 and float32"),
        (lambda x: x + np.ones(4), ValueError, r"broadcast together with shapes \(2,3\) \(4,\)"),
        (lambda x: x**x, TypeError, "a number as exponent, got Tensor: write exp"),
        (lambda x: x[0] @ x.T, ValueError, r"matrices for @, got shapes \(3,\) and \(3, 2\)"),
        (lambda x: x @ x[0], ValueError, r"matrices for @, got shapes \(2, 3\) and \(3,\)"),
        (lambda x: x[0].T, ValueError, r"matrix to transpose, got shape \(3,\)"),
        (lambda x: x[:0].mean(), ValueError, r"at least one number to average, got \(0, 3\)"),
        (lambda x: x.sum(axis=2), ValueError, "axis 2 is out of bounds"),
        (lambda x: x.reshape(4), ValueError, r"size 6 into shape \(4,\)"),
        (lambda x: np.exp(x), TypeError, "ufunc"),
        (lambda x: autograd.exp(x.value), TypeError, "expected a Tensor, got ndarray"),
        (lambda x: autograd.softmax(x.value), TypeError, "expected a Tensor, got ndarray"),
        (
            lambda x: operation(*losses.mse)(x.value, x.value),
            TypeError,
            "among the arguments, got none",
        ),
        (lambda x: autograd.cross_entropy(x, np.array([0, 3])), ValueError, "from 0 to 2, got 3"),
        (lambda x: autograd.cross_entropy(x, np.array([0.0, 1.0])), TypeError, "float64"),
        (
            lambda x: autograd.cross_entropy(x[0], np.array([0])),
            ValueError,
            r"expected Z of shape \(n, k\)",
        ),
        (lambda x: autograd.cross_entropy(x[:0], np.array([], int)), ValueError, "at least one"),
    ],
)
def test_what_cannot_be_meant_is_refused(act: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        act(Tensor(rng().normal(size=(2, 3))))


@pytest.mark.parametrize(
    "name", ["exp", "log", "tanh", "relu", "softmax", "log_softmax", "cross_entropy"]
)
def test_every_function_of_tensors_refuses_an_array(name: str) -> None:
    labels = [np.array([0])] if name == "cross_entropy" else []
    with pytest.raises(TypeError, match="expected a Tensor, got ndarray: use Tensor"):
        getattr(autograd, name)(np.ones((1, 2)), *labels)


def test_the_slope_of_relu_is_0_at_0_as_in_pytorch() -> None:
    x = Tensor(np.array([-1.0, 0.0, 1.0]))
    t = torch.tensor(x.value, requires_grad=True)
    F.relu(t).sum().backward()  # type: ignore[no-untyped-call]  # PyTorch's own
    assert t.grad is not None
    assert_array_equal(autograd.relu(x).sum().backward([x])[0], t.grad.numpy())


def test_rows_of_logits_may_lie_far_apart() -> None:
    Z = Tensor(np.array([[5e3, 5e3], [-5e3, -5e3]]))
    assert_array_equal(autograd.softmax(Z).value, np.full((2, 2), 0.5))
    assert_allclose(autograd.log_softmax(Z).value, np.full((2, 2), -np.log(2)), rtol=1e-12)


@pytest.mark.parametrize("function", [autograd.softmax, autograd.log_softmax])
def test_stated_shapes_of_tensors_are_true(function: Any) -> None:
    Z = Tensor(rng().normal(size=(2, 4, 3)))
    assert len(hold_shapes(function, {"Z": Z.value}, function(Z).value)) == 2


def test_stated_shapes_of_cross_entropy_are_true() -> None:
    Z, y = Tensor(rng().normal(size=(4, 3))), np.array([0, 1, 2, 0])
    loss = autograd.cross_entropy(Z, y)
    assert len(hold_shapes(autograd.cross_entropy, {"Z": Z.value, "y": y}, loss.value)) == 3
    assert repr(loss) == f"Tensor({loss.value})"
