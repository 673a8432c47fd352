"""Mistakes that readers found in respected books and courses, kept out of this one.

Each test belongs to an entry of the list "Errors of the field"; the number stands in its name. It
makes the mistake beside the right thing, and shows that the check refuses it. Whole runs are in
``tests/test_field_errors_runs.py``; a table there says where each entry has its test.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dlbook.data import Standardizer, load_delivery, make_blobs
from dlbook.scratch.activations import (
    log_softmax,
    log_softmax_backward,
    log_softmax_forward,
    sigmoid,
    sigmoid_backward,
    sigmoid_forward,
    softmax,
    softmax_backward,
    softmax_forward,
)
from dlbook.scratch.autograd import Tensor
from dlbook.scratch.gradcheck import GradientError, gradcheck
from dlbook.scratch.initialization import (
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    xavier_normal,
    xavier_uniform,
)
from dlbook.scratch.layers import Linear, ReLU, Sequential, Sigmoid, mlp
from dlbook.scratch.linear import linear_backward, linear_forward
from dlbook.scratch.losses import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    binary_cross_entropy_with_logits_forward,
    cross_entropy,
    cross_entropy_forward,
    huber,
    huber_forward,
    mae,
    mae_forward,
    mse,
    mse_backward,
    mse_forward,
    weighted_cross_entropy,
    weighted_cross_entropy_forward,
    with_options,
)
from dlbook.scratch.optimizers import SGD, Adam
from dlbook.scratch.training import evaluate, fit
from dlbook.scratch.updates import adam_update

EVERY_LOSS = [
    mse,
    mae,
    huber,
    binary_cross_entropy_with_logits,
    cross_entropy,
    weighted_cross_entropy,
]


def targets(loss: Any) -> Any:
    """Return targets for outputs of shape (5, 2)."""
    if loss in (cross_entropy, weighted_cross_entropy):
        return rng().integers(0, 2, size=5)
    return rng().uniform(size=(5, 2))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("initialize", [he_normal, he_uniform])
def test_01_he_variance_is_two_over_fan_in_and_not_a_multiple_of_it(initialize: Any) -> None:
    W = initialize(500, 100, rng=rng())
    assert W.var() * 500 == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("initialize", [xavier_normal, xavier_uniform])
def test_01_xavier_counts_both_fans_and_is_not_lecuns(initialize: Any) -> None:
    W = initialize(500, 100, rng=rng())
    assert W.var() * (500 + 100) / 2 == pytest.approx(1, rel=0.05)
    assert abs(W.var() * 500 - 1) > 0.5, "LeCun's variance is 1 / d_in"


@pytest.mark.parametrize("initialize", [lecun_normal, lecun_uniform])
def test_01_lecun_counts_the_inputs_alone_and_is_neither_xaviers_nor_hes(initialize: Any) -> None:
    measured = initialize(500, 100, rng=rng()).var() * 500
    assert measured == pytest.approx(1, rel=0.05)
    for another in (xavier_normal, he_normal):
        assert abs(another(500, 100, rng=rng()).var() * 500 - 1) > 0.5
    assert abs((3 * he_normal(500, 100, rng=rng())).var() * 500 - 2) > 10, "nine times too large"


@pytest.mark.parametrize(("p", "y"), [(0.9, 1.0), (0.9, 0.0), (0.2, 1.0), (0.2, 0.0)])
def test_02_each_target_pays_minus_the_log_of_its_own_probability(p: float, y: float) -> None:
    z = math.log(p / (1 - p))
    loss, cache = binary_cross_entropy_with_logits_forward(np.array([z]), np.array([y]))
    assert loss == pytest.approx(-math.log(p if y == 1 else 1 - p), rel=1e-12)
    slope = binary_cross_entropy_with_logits_backward(cache)[0]
    assert slope == pytest.approx(p - y, rel=1e-12)
    assert abs(loss + math.log(np.where(y == 1, 1 - p, p))) > 1, "the branches swapped"
    assert loss > 0, "the sign"


def test_03_networks_end_in_logits_and_the_losses_take_logits() -> None:
    assert isinstance(mlp([4, 8, 3], rng=rng()).layers[-1], Linear)
    Z, y = np.array([[4.0, 0.0, 0.0]]), np.array([0])
    right, _ = cross_entropy_forward(Z, y)
    assert right == pytest.approx(-math.log(softmax(Z)[0, 0]), rel=1e-12)
    twice, _ = cross_entropy_forward(softmax(Z), y)
    assert twice > 10 * right, "softmax applied twice hides how sure the model is"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_03_logits_of_a_thousand_do_not_overflow(dtype: Any) -> None:
    Z = np.array([[1000.0, 0.0, 0.0, 0.0]], dtype=dtype)
    assert cross_entropy_forward(Z, np.array([0]))[0] == 0
    assert cross_entropy_forward(Z, np.array([1]))[0] == 1000
    assert weighted_cross_entropy_forward(Z, np.array([1]))[0] == 1000
    assert softmax(Z).tolist() == [[1, 0, 0, 0]]
    assert log_softmax(Z).tolist() == [[0, -1000, -1000, -1000]]
    assert sigmoid(Z).tolist() == [[1, 0.5, 0.5, 0.5]]
    with np.errstate(over="ignore", invalid="ignore"):
        as_written = np.exp(Z) / np.exp(Z).sum()
    assert np.isnan(as_written[0, 0]), "the formula as it is written"


def test_04_a_smaller_last_batch_does_not_count_for_more() -> None:
    X, y = make_blobs(9, k=3, rng=rng(), dtype=np.float64)
    model = mlp([2, 3], rng=rng(), dtype=np.float64)
    still = SGD(model.parameters, lr=0)
    history = fit(
        model, cross_entropy, still, X, y, epochs=1, batch_size=8, rng=rng(1), progress=False
    )
    over_examples = evaluate(model, cross_entropy, X, y)["loss"]
    order = rng(1).permutation(9)
    batches = [
        evaluate(model, cross_entropy, X[rows], y[rows])["loss"] for rows in (order[:8], order[8:])
    ]
    assert history["train_loss"][0] == pytest.approx(over_examples, rel=1e-12)
    assert abs(np.mean(batches) - over_examples) > 0.01, "the plain mean of batch means is another"


@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_05_the_mean_is_taken_once_weights_and_bias_alike(loss: Any) -> None:
    """Examples shown twice change neither the loss nor any gradient of the parameters."""
    forward, backward = loss
    X = rng().normal(size=(5, 3))
    Y = targets(loss)
    found = []
    for repeat in (1, 2):
        model = Linear(3, 2, rng=rng(1), dtype=np.float64)
        value, cache = forward(
            model.forward(np.concatenate([X] * repeat)), np.concatenate([Y] * repeat)
        )
        model.backward(backward(cache))
        found.append([np.array(value), *model.gradients])
    for once, twice in zip(*found, strict=True):
        assert_allclose(twice, once, rtol=1e-12)


@pytest.mark.parametrize("loss", EVERY_LOSS)
@pytest.mark.parametrize(("mistake", "quotient"), [(1 / 5, "0.2"), (5, "5"), (1 / 2, "0.5")])
def test_05_a_mean_that_is_taken_twice_or_never_or_a_lost_two_is_noticed(
    loss: Any, mistake: float, quotient: str
) -> None:
    forward, backward = loss
    Z = rng().normal(size=(5, 2))
    gradcheck(forward, backward, Z, targets(loss), rng=rng())
    with pytest.raises(GradientError, match=f"Their quotient is {quotient}: "):
        gradcheck(forward, lambda cache: mistake * backward(cache), Z, targets(loss), rng=rng())


def test_05_the_gradient_of_the_bias_is_a_sum_over_the_batch_and_not_its_mean() -> None:
    def mean_of_bias(dZ: Any, cache: Any) -> Any:
        dX, dW, db = linear_backward(dZ, cache)
        return dX, dW, db / len(dZ)

    X, W, b = rng().normal(size=(5, 3)), rng(1).normal(size=(3, 2)), rng(2).normal(size=2)
    gradcheck(linear_forward, linear_backward, X, W, b, rng=rng())
    with pytest.raises(GradientError, match=r"respect to b is wrong.*quotient is 0\.2"):
        gradcheck(linear_forward, mean_of_bias, X, W, b, rng=rng())


@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_05_a_sum_is_not_divided_at_all_and_grows_with_the_batch(loss: Any) -> None:
    forward, backward = with_options(loss, reduction="sum")
    Z, Y = rng().normal(size=(5, 2)), targets(loss)
    once, cache = forward(Z, Y)
    twice, cache_of_two = forward(np.concatenate([Z, Z]), np.concatenate([Y, Y]))
    assert twice == pytest.approx(2 * once, rel=1e-12)
    assert_allclose(backward(cache_of_two)[:5], backward(cache), rtol=1e-12)
    assert once == pytest.approx(Y.size * loss[0](Z, Y)[0], rel=1e-12)


def test_05_a_weighted_mean_divides_by_the_weights_and_not_by_the_number_of_rows() -> None:
    Z, y, weight = rng().normal(size=(4, 2)), np.array([0, 1, 1, 1]), np.array([1.0, 5.0])
    each = [cross_entropy_forward(Z[i : i + 1], y[i : i + 1])[0] for i in range(4)]
    loss, _ = weighted_cross_entropy_forward(Z, y, weight=weight)
    assert loss == pytest.approx(np.average(each, weights=weight[y]), rel=1e-12)
    assert abs(loss - np.mean(weight[y] * each)) > 1, "divided by n"


def test_05_squared_error_has_the_two_and_averages_every_entry() -> None:
    Z, Y = rng().normal(size=(2, 5, 4))
    loss, cache = mse_forward(Z, Y)
    assert loss == pytest.approx(((Z - Y) ** 2).sum() / 20, rel=1e-12)
    assert_allclose(mse_backward(cache), 2 * (Z - Y) / 20, rtol=1e-12)


def test_06_a_wrong_softmax_jacobian_is_noticed_which_a_sum_of_outputs_would_hide() -> None:
    def wrong(dP: Any, P: Any) -> Any:
        """Mistake the sum for one over the upstream gradient alone."""
        return P * (dP - dP.mean(axis=-1, keepdims=True))

    Z = rng().normal(size=(4, 3))
    P, cache = softmax_forward(Z)
    assert_allclose(
        wrong(np.ones_like(P), cache), softmax_backward(np.ones_like(P), cache), atol=1e-15
    )
    gradcheck(softmax_forward, softmax_backward, Z, rng=rng())
    with pytest.raises(GradientError):
        gradcheck(softmax_forward, wrong, Z, rng=rng())


def test_06_a_wrong_jacobian_of_log_softmax_is_noticed() -> None:
    def wrong(upstream: Any, log_P: Any) -> Any:
        """Forget that the gradients of a row are added up."""
        return upstream * (1 - np.exp(log_P))

    Z = rng().normal(size=(4, 3))
    gradcheck(log_softmax_forward, log_softmax_backward, Z, rng=rng())
    with pytest.raises(GradientError):
        gradcheck(log_softmax_forward, wrong, Z, rng=rng())


def test_07_a_layer_in_two_places_is_refused_since_its_gradient_would_be_overwritten() -> None:
    shared = Linear(3, 3, rng=rng())
    with pytest.raises(ValueError, match="the same object twice"):
        Sequential(shared, ReLU(), shared)


class Adding(Linear):
    """Adds its gradients to those of the last backward pass, which nobody has cleared."""

    def backward(self, dZ: Any) -> Any:
        before = [gradient.copy() for gradient in self.gradients]
        dX = super().backward(dZ)
        for gradient, last in zip(self.gradients, before, strict=False):
            gradient += last
        return dX


def second_gradients_are_the_first(kind: Any) -> bool:
    layer = kind(3, 2, rng=rng(), dtype=np.float64)
    X, dZ = rng().normal(size=(5, 3)), rng(1).normal(size=(5, 2))
    found = []
    for _ in range(2):
        layer.forward(X)
        layer.backward(dZ)
        found.append([gradient.copy() for gradient in layer.gradients])
    return all(np.array_equal(g, again) for g, again in zip(*found, strict=True))


def test_07_a_second_backward_pass_does_not_add_to_the_first() -> None:
    assert second_gradients_are_the_first(Linear)
    assert not second_gradients_are_the_first(Adding)


def test_07_a_value_used_twice_in_a_graph_gets_both_gradients_however_often_it_is_asked() -> None:
    x = Tensor(np.array(3.0))
    y = x * x
    z = y + x * y  # x² + x³, of which x and y each are used twice
    for _ in range(2):
        assert z.backward([x]) == [2 * 3 + 3 * 3**2]
    overwritten = 3.0 * 3.0  # what the last use of x alone would give
    assert z.backward([x]) != [overwritten]


def steps_of_adam(update: Any) -> list[float]:
    """Return what 50 steps with the same gradient take off a weight, in units of the rate."""
    w, m, v = np.zeros((3, 1))
    taken = []
    for t in range(1, 51):
        before = w
        w, m, v = update(w, np.array([3.0]), m, v, t=t, lr=0.01, eps=1e-30)
        taken.append((before - w).item() / 0.01)
    return taken


def without_a_hat(which: int) -> Any:
    """Make Adam's step with one of its means as it stands, not corrected for its start at 0."""

    def update(w: Any, g: Any, m: Any, v: Any, *, t: int, lr: float, eps: float) -> Any:
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        m_hat = m if which == 0 else m / (1 - 0.9**t)
        v_hat = v if which == 1 else v / (1 - 0.999**t)
        return w - lr * m_hat / (np.sqrt(v_hat) + eps), m, v

    return update


def test_08_adams_means_are_corrected_both_of_them() -> None:
    """After t equal gradients both corrected means are exact, so that every step is the rate."""
    w = np.zeros(1)
    adam = Adam([w], lr=0.01, eps=1e-30)
    for t in range(1, 51):
        adam.step([np.array([3.0])])
        assert w[0] == pytest.approx(-0.01 * t, rel=1e-9)
    assert_allclose(steps_of_adam(adam_update), 1, rtol=1e-9)
    assert steps_of_adam(without_a_hat(0))[0] == pytest.approx(0.1)
    assert steps_of_adam(without_a_hat(1))[0] == pytest.approx(math.sqrt(1000))


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda dX, dW, db: (-dX, dW, db), "with respect to X .*quotient is -1: .*−1 at a sign"),
        (lambda dX, dW, db: (dX.T, dW, db), "with respect to X .*wrong.*a transpose"),
        (lambda dX, dW, db: (dX, 2 * dW, db), "with respect to W .*quotient is 2: .*lost factor"),
    ],
)
def test_08_a_lost_sign_factor_or_transpose_is_noticed_and_named(mistake: Any, told: str) -> None:
    X, W, b = rng().normal(size=(3, 3)), rng(1).normal(size=(3, 2)), rng(2).normal(size=2)
    with pytest.raises(GradientError, match=told):
        gradcheck(
            linear_forward,
            lambda dZ, cache: mistake(*linear_backward(dZ, cache)),
            X, W, b,
            rng=rng(),
        )  # fmt: skip


def test_10_a_target_of_shape_n_against_predictions_of_shape_n_1_is_refused() -> None:
    Z, Y = np.zeros((5, 1)), np.zeros(5)
    told = (
        r"expected Y of shape \(5, 1\) to go with Z of shape \(5, 1\), got \(5,\): use Y\.reshape"
    )
    for forward in (
        mse_forward,
        mae_forward,
        huber_forward,
        binary_cross_entropy_with_logits_forward,
    ):
        with pytest.raises(ValueError, match=told):
            forward(Z, Y)
    assert (Z - Y).shape == (5, 5), "NumPy alone would compare each with each"


def test_10_fit_refuses_such_a_target_before_the_first_step() -> None:
    X, Y = load_delivery()
    model = Linear(1, 1, rng=rng(), dtype=np.float64)
    sgd = SGD(model.parameters, 0.01)
    before = model.W.copy()
    with pytest.raises(ValueError, match=r"expected Y of shape \(2, 1\)"):
        fit(model, mse, sgd, X, Y[:, 0], epochs=1, batch_size=2, rng=rng(), progress=False)
    assert_allclose(model.W, before, rtol=0)


def test_15_a_variance_is_taken_from_deviations_and_cannot_go_negative() -> None:
    X = rng().normal(1000, 0.1, size=(10_000, 1)).astype(np.float32)
    shortcut = np.mean(X**2, dtype=np.float32) - np.mean(X, dtype=np.float32) ** 2
    assert abs(shortcut - 0.01) > 0.01, "the shortcut is off by more than all there is"
    assert Standardizer().fit(X).std[0] == pytest.approx(0.1, rel=0.05)


def squared_error_of_a_sigmoid(Z: Any, Y: Any) -> Any:
    A, cache = sigmoid_forward(Z)
    loss, errors = mse_forward(A, Y)
    return loss, (A, Y, cache, errors)


def test_16_squared_error_through_a_sigmoid_keeps_its_slope_and_cross_entropy_loses_it() -> None:
    def by_the_chain_rule(cache: Any) -> Any:
        *_, of_sigmoid, errors = cache
        return sigmoid_backward(mse_backward(errors), of_sigmoid)

    def bare_difference(cache: Any) -> Any:
        """Take cross-entropy's δ = ŷ − y for squared error's, with its 2 and its mean."""
        A, Y, *_ = cache
        return 2 * (A - Y) / A.size

    Z, Y = rng().normal(size=(5, 2)), rng(1).uniform(size=(5, 2))
    gradcheck(squared_error_of_a_sigmoid, by_the_chain_rule, Z, Y, rng=rng())
    with pytest.raises(GradientError):
        gradcheck(squared_error_of_a_sigmoid, bare_difference, Z, Y, rng=rng())
    A = sigmoid(Z)
    crossed = binary_cross_entropy_with_logits_backward((Z, Y))
    assert_allclose(crossed, (A - Y) / A.size, rtol=1e-12)


def test_16_the_sigmoid_bounds_what_passes_it_and_relu_does_not() -> None:
    Z = np.array([[-1e6, 1e6]])
    assert Sigmoid().forward(Z).max() <= 1
    assert ReLU().forward(Z).max() == 1e6
