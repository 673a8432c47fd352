from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.data import make_blobs
from dlbook.scratch import losses
from dlbook.scratch.activations import sigmoid, softmax
from dlbook.scratch.gradcheck import gradcheck
from dlbook.scratch.layers import mlp
from dlbook.scratch.losses import (
    Loss,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    binary_cross_entropy_with_logits_forward,
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_forward,
    huber,
    huber_backward,
    huber_forward,
    mae,
    mae_backward,
    mae_forward,
    mse,
    mse_backward,
    mse_forward,
    weighted_cross_entropy,
    weighted_cross_entropy_backward,
    weighted_cross_entropy_forward,
    with_options,
)
from dlbook.scratch.optimizers import SGD
from dlbook.scratch.training import fit
from tests.bad_input import NO_FLOATS, NO_NUMBER, NOT_FROM_ZERO_UP, a_few_examples, refused

FLOATS = [np.float32, np.float64]
EVERY = [mse, mae, huber, binary_cross_entropy_with_logits, cross_entropy, weighted_cross_entropy]


def slope(tensor: torch.Tensor) -> Any:
    return tensor.grad.numpy()  # type: ignore[union-attr]  # after a backward pass it has one


def takes_classes(loss: Loss) -> bool:
    return loss in (cross_entropy, weighted_cross_entropy)


def test_mse_is_the_mean_over_all_entries_worked_by_hand() -> None:
    loss, E = mse_forward(np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([[0.0, 2.0], [5.0, 3.0]]))
    assert loss == (1 + 0 + 4 + 9) / 4
    assert_allclose(mse_backward(E), np.array([[1, 0], [-2, 3]]) * 2 / 4)


def test_mse_agrees_with_scikit_learn() -> None:
    Z, Y = np.random.default_rng(0).normal(size=(2, 30, 3))
    assert mse_forward(Z, Y)[0] == pytest.approx(metrics.mean_squared_error(Y, Z), rel=1e-14)


def test_mae_is_the_mean_of_sizes_worked_by_hand_and_agrees_with_scikit_learn() -> None:
    loss, E = mae_forward(np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([[0.0, 2.0], [5.0, 3.0]]))
    assert loss == (1 + 0 + 2 + 3) / 4
    assert_array_equal(mae_backward(E), np.array([[1, 0], [-1, 1]]) / 4)
    Z, Y = np.random.default_rng(0).normal(size=(2, 30, 3))
    assert mae_forward(Z, Y)[0] == pytest.approx(metrics.mean_absolute_error(Y, Z), rel=1e-14)


def test_the_best_constant_is_the_mean_for_squares_and_the_median_for_sizes() -> None:
    Y = np.array([0.0, 1.0, 2.0, 10.0, 12.0])
    guesses = np.linspace(0, 12, 121)

    def best(forward: Callable[..., Any]) -> float:
        return float(guesses[np.argmin([forward(np.full(5, guess), Y)[0] for guess in guesses])])

    assert best(mse_forward) == pytest.approx(5)
    assert best(mae_forward) == pytest.approx(2)


def test_huber_is_a_parabola_inside_delta_and_straight_outside() -> None:
    Z, Y = np.array([0.5, -0.5, 2.0, 5.0, -5.0]), np.zeros(5)
    loss, cache = huber_forward(Z, Y, delta=2.0)
    by_hand = [0.125, 0.125, 2.0, 2 * (5 - 1), 2 * (5 - 1)]
    assert loss == pytest.approx(sum(by_hand) / 5, rel=1e-15)
    assert_allclose(huber_backward(cache), np.array([0.5, -0.5, 2, 2, -2]) / 5, rtol=1e-15)


def test_huber_becomes_half_the_squared_error_and_delta_times_smooth_l1() -> None:
    Z, Y = np.random.default_rng(0).normal(size=(2, 30))
    assert huber_forward(Z, Y, delta=100.0)[0] == pytest.approx(mse_forward(Z, Y)[0] / 2, rel=1e-14)
    smooth = F.smooth_l1_loss(torch.tensor(Z), torch.tensor(Y), beta=0.4).item()
    assert huber_forward(Z, Y, delta=0.4)[0] == pytest.approx(0.4 * smooth, rel=1e-13)


def test_huber_of_a_huge_error_does_not_overflow_in_single_precision() -> None:
    Z, Y = np.array([1e30], np.float32), np.zeros(1, np.float32)
    assert huber_forward(Z, Y)[0] == pytest.approx(1e30, rel=1e-6)
    for delta in (np.float64(1), 1):
        assert huber_backward(huber_forward(Z, Y, delta=delta)[1]).dtype == np.float32


def test_binary_cross_entropy_is_minus_the_log_of_the_right_answers_probability() -> None:
    p = np.array([0.9, 0.2])
    loss, cache = binary_cross_entropy_with_logits_forward(np.log(p / (1 - p)), np.array([1.0, 0]))
    assert loss == pytest.approx((-math.log(0.9) - math.log(0.8)) / 2, rel=1e-14)
    gradient = binary_cross_entropy_with_logits_backward(cache)
    assert_allclose(gradient, [(0.9 - 1) / 2, 0.2 / 2], rtol=1e-14)


def test_binary_cross_entropy_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    Z, Y = rng.normal(size=200), rng.integers(0, 2, size=200).astype(float)
    theirs = metrics.log_loss(Y, sigmoid(Z))
    assert binary_cross_entropy_with_logits_forward(Z, Y)[0] == pytest.approx(theirs, rel=1e-13)


@pytest.mark.parametrize("dtype", FLOATS)
def test_binary_cross_entropy_is_exact_far_out(dtype: Any) -> None:
    def loss(z: float, y: float) -> float:
        return binary_cross_entropy_with_logits_forward(np.array([z], dtype), np.array([y], dtype))[
            0
        ]

    assert loss(1e4, 0) == loss(-1e4, 1) == 1e4
    assert loss(1e4, 1) == loss(-1e4, 0) == 0
    assert loss(50, 1) == pytest.approx(math.exp(-50), rel=1e-5, abs=0)


def test_targets_that_are_no_probabilities_are_told_with_their_range() -> None:
    told = r"expected targets from 0 to 1, got from -1\.0 to 0\.5: class 1 is the target 1"
    with pytest.raises(ValueError, match=told):
        binary_cross_entropy_with_logits_forward(np.zeros(2), np.array([0.5, -1.0]))


def test_cross_entropy_is_minus_the_log_of_the_right_class_probability() -> None:
    P = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    loss, cache = cross_entropy_forward(np.log(P), np.array([1, 0]))
    assert loss == pytest.approx((-math.log(0.5) - math.log(0.1)) / 2, rel=1e-14)
    expected = [[0.2 / 2, (0.5 - 1) / 2, 0.3 / 2], [(0.1 - 1) / 2, 0.1 / 2, 0.8 / 2]]
    assert_allclose(cross_entropy_backward(cache), expected, rtol=1e-13)


def test_cross_entropy_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(200, 5)), rng.integers(0, 5, size=200)
    theirs = metrics.log_loss(y, softmax(Z), labels=range(5))
    assert cross_entropy_forward(Z, y)[0] == pytest.approx(theirs, rel=1e-13)


@pytest.mark.parametrize("dtype", FLOATS)
def test_cross_entropy_is_exact_for_huge_logits(dtype: Any) -> None:
    Z = np.array([[1e4, 0, 0, 0]], dtype)
    assert cross_entropy_forward(Z, np.array([0]))[0] == 0
    assert cross_entropy_forward(Z, np.array([2]))[0] == 1e4
    assert_allclose(
        cross_entropy_backward(cross_entropy_forward(Z, np.array([2]))[1]), [[1, 0, -1, 0]]
    )


@pytest.mark.parametrize("k", [2, 10, 1000])
def test_a_model_that_knows_nothing_pays_ln_k_nats(k: int) -> None:
    assert cross_entropy_forward(np.full((3, k), 7.0), np.array([0, 1, k - 1]))[0] == pytest.approx(
        math.log(k), rel=1e-14
    )
    assert binary_cross_entropy_with_logits_forward(np.zeros(4), np.ones(4))[0] == math.log(2)


def test_two_logits_and_their_difference_give_the_same_loss() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(20, 2)), rng.integers(0, 2, size=20)
    binary, _ = binary_cross_entropy_with_logits_forward(Z[:, 1] - Z[:, 0], y.astype(float))
    assert binary == pytest.approx(cross_entropy_forward(Z, y)[0], rel=1e-14)


@pytest.mark.parametrize("loss", EVERY)
def test_a_batch_repeated_has_the_same_loss_and_a_share_of_the_gradient_each(loss: Loss) -> None:
    forward, backward = loss
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(6, 3))
    Y = rng.integers(0, 2, size=6) if takes_classes(loss) else rng.uniform(size=(6, 3))
    once, cache = forward(Z, Y)
    twice, cache_of_two = forward(np.concatenate([Z, Z]), np.concatenate([Y, Y]))
    assert twice == pytest.approx(once, rel=1e-14)
    assert_allclose(2 * backward(cache_of_two)[:6], backward(cache), rtol=1e-13)


def test_integer_targets_for_a_loss_of_floats_and_the_other_way_round_are_told() -> None:
    Z = np.zeros((3, 2))
    with pytest.raises(TypeError, match="expected Y to hold floats, got int64"):
        mse_forward(Z, np.zeros((3, 2), dtype=int))
    with pytest.raises(TypeError, match="expected integer class ids, got float64"):
        cross_entropy_forward(Z, np.zeros(3))  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match=r"expected class ids of shape \(n,\), got \(3, 1\)"):
        cross_entropy_forward(Z, np.zeros((3, 1), dtype=int))
    with pytest.raises(ValueError, match="one class id for each of the 3 rows of Z, got 2"):
        cross_entropy_forward(Z, np.zeros(2, dtype=int))


IN_TORCH = [
    (mse, F.mse_loss, {}),
    (mae, F.l1_loss, {}),
    (huber, F.huber_loss, {}),
    (huber, F.huber_loss, {"delta": 0.4}),
    (binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, {}),
    (cross_entropy, F.cross_entropy, {}),
    (weighted_cross_entropy, F.cross_entropy, {"label_smoothing": 0.2, "ignore_index": 1}),
]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("loss", "theirs", "options"), IN_TORCH)
def test_reduction_means_what_it_means_in_pytorch(
    loss: Loss, theirs: Callable[..., Any], options: dict[str, Any], reduction: str
) -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(6, 3))
    Y = rng.integers(0, 3, size=6) if takes_classes(loss) else rng.uniform(size=(6, 3))
    forward, backward = with_options(loss, reduction=reduction, **options)
    value, cache = forward(Z, Y)
    in_torch = torch.tensor(Z, requires_grad=True)
    expected = theirs(in_torch, torch.tensor(Y), reduction=reduction, **options)
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-12)
    assert_allclose(backward(cache), slope(in_torch), rtol=1e-12, atol=1e-15)
    gradcheck(forward, backward, Z, Y, rng=rng)
    single, cache = forward(Z.astype(np.float32), Y.astype(np.float32) if Y.ndim == 2 else Y)
    assert isinstance(single, float)
    assert backward(cache).dtype == np.float32


def test_weighted_cross_entropy_without_options_is_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(20, 5)), rng.integers(0, 5, size=20)
    value, cache = weighted_cross_entropy_forward(Z, y)
    plain, plain_cache = cross_entropy_forward(Z, y)
    assert value == pytest.approx(plain, rel=1e-14)
    expected = cross_entropy_backward(plain_cache)
    assert_allclose(weighted_cross_entropy_backward(cache), expected, rtol=1e-12, atol=1e-17)


def test_a_weight_of_two_is_the_row_given_twice() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(6, 2)), np.array([0, 1, 1, 0, 0, 1])
    weighted = weighted_cross_entropy_forward(Z, y, weight=np.array([1.0, 2.0]))[0]
    twice = np.r_[np.arange(6), np.flatnonzero(y == 1)]
    assert weighted == pytest.approx(cross_entropy_forward(Z[twice], y[twice])[0], rel=1e-14)


@pytest.mark.parametrize("ignored", [-100, 1])
def test_rows_with_the_ignored_label_count_nowhere(ignored: int) -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(5, 3)), np.array([0, ignored, 2, ignored, 0])
    value, cache = weighted_cross_entropy_forward(Z, y, ignore_index=ignored)
    assert value == pytest.approx(cross_entropy_forward(Z[[0, 2, 4]], y[[0, 2, 4]])[0], rel=1e-14)
    assert_array_equal(weighted_cross_entropy_backward(cache)[[1, 3]], np.zeros((2, 3)))


def test_smoothing_moves_a_share_of_the_target_to_all_classes_worked_by_hand() -> None:
    P, y = np.array([[0.2, 0.8]]), np.array([1])
    value, cache = weighted_cross_entropy_forward(np.log(P), y, label_smoothing=0.1)
    assert value == pytest.approx(-0.05 * math.log(0.2) - 0.95 * math.log(0.8), rel=1e-14)
    assert_allclose(weighted_cross_entropy_backward(cache), P - [[0.05, 0.95]], rtol=1e-13)


def test_the_mean_divides_by_the_weights_of_the_labels_and_not_by_their_number() -> None:
    Z, y = np.zeros((3, 2)), np.array([0, 1, 1])
    for weight in ([1.0, 3.0], [0.1, 0.1], [0.0, 5.0]):
        value, _ = weighted_cross_entropy_forward(Z, y, weight=np.array(weight))
        assert value == pytest.approx(math.log(2), rel=1e-14)


@given(
    n=st.integers(1, 6),
    k=st.integers(1, 5),
    smoothing=st.floats(0, 0.99),
    ignored=st.sampled_from([-100, 0]),
    reduction=st.sampled_from(["mean", "sum"]),
    seed=st.integers(0, 2**32),
)
@a_few_examples
def test_weights_ignored_labels_and_smoothing_together_agree_with_pytorch(
    n: int, k: int, smoothing: float, ignored: int, reduction: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    Z, weight = 3 * rng.normal(size=(n, k)), rng.uniform(0.1, 2, size=k)
    y = np.where(rng.uniform(size=n) < 0.3, ignored, rng.integers(0, k, size=n))
    options: Any = {
        "ignore_index": ignored,
        "label_smoothing": smoothing,
        "reduction": reduction,
    }
    if (y == ignored).all():
        told = refused(weighted_cross_entropy_forward, Z, y, weight=weight, **options)
        assert "at least one label that counts" in told
        return
    value, cache = weighted_cross_entropy_forward(Z, y, weight=weight, **options)
    in_torch = torch.tensor(Z, requires_grad=True)
    theirs = F.cross_entropy(in_torch, torch.tensor(y), torch.tensor(weight), **options)
    theirs.backward()  # type: ignore[no-untyped-call]
    assert value == pytest.approx(theirs.item(), rel=1e-12, abs=1e-15)
    assert_allclose(weighted_cross_entropy_backward(cache), slope(in_torch), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dtype", FLOATS)
def test_weighted_cross_entropy_is_exact_for_huge_logits(dtype: Any) -> None:
    Z = np.array([[1e4, 0, 0, 0]], dtype)
    for label, expected in ((0, 0), (2, 1e4)):
        value, cache = weighted_cross_entropy_forward(Z, np.array([label]))
        assert value == expected
        assert weighted_cross_entropy_backward(cache).dtype == dtype


def test_fit_takes_a_loss_with_options() -> None:
    X, y = make_blobs(60, k=3, rng=np.random.default_rng(0))
    y[::7] = -100
    model = mlp([2, 3], rng=np.random.default_rng(1))
    loss = with_options(
        weighted_cross_entropy, weight=np.array([1, 2, 1], np.float32), label_smoothing=0.1
    )
    history = fit(
        model, loss, SGD(model.parameters, lr=0.1), X, y,
        epochs=5, batch_size=20, rng=np.random.default_rng(2), progress=False,
    )  # fmt: skip
    assert history["train_loss"][-1] < 0.8 * history["train_loss"][0]


ZEROS, LABELS = np.zeros((3, 2)), np.array([0, 1, 1])


@pytest.mark.parametrize("loss", EVERY)
@given(bad=NO_FLOATS)
@a_few_examples
def test_outputs_that_are_no_array_of_floats_are_refused(loss: Loss, bad: Any) -> None:
    assert "Z" in refused(loss[0], bad, LABELS if takes_classes(loss) else ZEROS)


@pytest.mark.parametrize("loss", [loss for loss in EVERY if not takes_classes(loss)])
@given(bad=NO_FLOATS)
@a_few_examples
def test_targets_that_are_no_array_of_floats_are_refused(loss: Loss, bad: Any) -> None:
    assert "Y" in refused(loss[0], ZEROS, bad)


@pytest.mark.parametrize("loss", [cross_entropy, weighted_cross_entropy])
@given(
    bad=st.one_of(
        NO_FLOATS.filter(lambda bad: not isinstance(bad, np.ndarray) or bad.dtype.kind not in "iu"),
        st.builds(np.zeros, st.sampled_from([3, (3, 2), (3, 1)])),
        st.sampled_from([(), (2,), (4,), (3, 1)]).map(lambda shape: np.zeros(shape, int)),
        st.integers()
        .filter(lambda c: c not in (0, 1, -100) and abs(c) < 2**31)
        .map(lambda c: np.array([0, c, 1])),
    )
)
@a_few_examples
def test_labels_that_are_no_classes_are_refused(loss: Loss, bad: Any) -> None:
    refused(loss[0], ZEROS, bad)


@given(bad=st.one_of(NO_NUMBER, NOT_FROM_ZERO_UP, st.just(0), st.just(0.0)))
@a_few_examples
def test_a_delta_that_is_no_number_above_zero_is_refused(bad: Any) -> None:
    assert "delta" in refused(huber_forward, ZEROS, ZEROS, delta=bad)


@given(bad=st.one_of(NO_NUMBER, NOT_FROM_ZERO_UP, st.floats(min_value=1)))
@a_few_examples
def test_a_smoothing_that_is_no_share_below_one_is_refused(bad: Any) -> None:
    assert "label_smoothing" in refused(
        weighted_cross_entropy_forward, ZEROS, LABELS, label_smoothing=bad
    )


@given(
    bad=st.one_of(
        NO_FLOATS.filter(lambda bad: bad is not None),
        st.builds(np.ones, st.sampled_from([(), 1, 3, (2, 1), (1, 2)])),
        st.just(np.ones(2, np.float32)),
        st.sampled_from([-1.0, np.nan, np.inf]).map(lambda w: np.array([1.0, w])),
        st.just(np.zeros(2)),
    )
)
@a_few_examples
def test_what_is_no_weight_for_each_class_is_refused(bad: Any) -> None:
    assert "weight" in refused(weighted_cross_entropy_forward, ZEROS, LABELS, weight=bad)


@given(bad=st.one_of(st.none(), st.text(), st.booleans(), st.floats(), st.lists(st.integers())))
@a_few_examples
def test_an_ignored_label_that_is_no_whole_number_is_refused(bad: Any) -> None:
    assert "ignore_index" in refused(
        weighted_cross_entropy_forward, ZEROS, LABELS, ignore_index=bad
    )


@given(bad=st.one_of(st.none(), st.text(), st.integers(), st.just(["mean"])))
@a_few_examples
def test_a_reduction_that_is_neither_mean_nor_sum_is_refused(bad: Any) -> None:
    assert "'mean' or 'sum'" in refused(with_options, mse, reduction=bad)
    assert "'mean' or 'sum'" in refused(
        weighted_cross_entropy_forward, ZEROS, LABELS, reduction=bad
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing from 0 up and below 1, got 1.0"),
        ({"label_smoothing": -0.5}, "label_smoothing from 0 up and below 1, got -0.5"),
        ({"weight": np.array([1.0, -0.5, 2.0])}, r"class weights from 0 up, got -0\.5"),
    ],
)
def test_an_option_barely_out_of_range_is_told(options: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        weighted_cross_entropy_forward(np.zeros((2, 3)), np.array([0, 2]), **options)


def test_an_option_that_a_loss_does_not_have_is_told_with_those_it_has() -> None:
    with pytest.raises(TypeError, match="expected options of delta, reduction, got 'beta'"):
        with_options(huber, beta=1.0)
    with pytest.raises(TypeError, match="expected options of reduction, got 'weight'"):
        with_options(mse, weight=np.ones(2))


NAMES = {
    "mse",
    "mae",
    "huber",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "weighted_cross_entropy",
}


def test_every_loss_can_be_imported_from_the_package() -> None:
    for name in losses.__all__:
        assert hasattr(losses, name)
    assert {f"{name}_{way}" for name in NAMES for way in ("forward", "backward")} < set(
        losses.__all__
    )
    assert set(losses.__all__) > NAMES
