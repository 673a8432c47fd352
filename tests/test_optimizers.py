from __future__ import annotations

import copy
import inspect
import pickle
import tracemalloc
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from dlbook.scratch import blocks, updates
from dlbook.scratch.clipping import clip_by_norm, clip_by_value
from dlbook.scratch.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

SHAPES = [(4, 3), (3,), (2, 2)]


KINDS = [SGD, Adagrad, RMSprop, Adam, AdamW]
RUNS: list[tuple[Any, dict[str, Any]]] = [
    (SGD, {}),
    (SGD, {"lr": 0.05, "momentum": 0.9}),
    (SGD, {"lr": 0.05, "momentum": 0.7, "nesterov": True}),
    (SGD, {"lr": 0.05, "weight_decay": 0.1}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (Adagrad, {}),
    (Adagrad, {"lr": 0.3, "eps": 1e-3, "weight_decay": 0.1}),
    (RMSprop, {}),
    (RMSprop, {"lr": 0.05, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1}),
    (RMSprop, {"lr": 0.05, "momentum": 0.9}),
    (Adam, {}),
    (Adam, {"lr": 0.3, "betas": (0.7, 0.9), "eps": 1e-3}),
    (Adam, {"lr": 0.3, "weight_decay": 0.1}),
    (AdamW, {}),
    (AdamW, {"lr": 0.3, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.3}),
]
each_run = pytest.mark.parametrize(
    ("kind", "options"), RUNS, ids=[f"{kind.__name__} {options}" for kind, options in RUNS]
)


def draw(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=shape, scale=rng.choice([1e-4, 1, 30])) for shape in SHAPES]


@each_run
@pytest.mark.parametrize("capacity", [blocks.CAPACITY, 5], ids=["one block", "many blocks"])
def test_a_hundred_steps_agree_with_torch_optim(
    kind: Any, options: Any, capacity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = partial(blocks.cut, capacity=capacity)
    monkeypatch.setattr("dlbook.scratch.optimizers.cut", small)
    rng = np.random.default_rng(0)
    parameters = [rng.normal(size=shape) for shape in SHAPES]
    tensors = [torch.tensor(w) for w in parameters]
    optimizer = kind(parameters, **options)
    reference = getattr(torch.optim, kind.__name__)(tensors, **options)
    for _ in range(100):
        gradients = draw(rng)
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = torch.tensor(gradient)
        optimizer.step(gradients)
        reference.step()
        for w, tensor in zip(parameters, tensors, strict=True):
            assert_allclose(w, tensor.numpy(), rtol=1e-10, atol=1e-10)
    assert optimizer.steps == 100


DERIVED: dict[Any, tuple[Any, int]] = {
    SGD: (updates.sgd_update, 1),
    Adagrad: (updates.adagrad_update, 1),
    RMSprop: (updates.rmsprop_update, 2),
    Adam: (updates.adam_update, 2),
    AdamW: (updates.adamw_update, 2),
}


@each_run
def test_the_fast_form_equals_the_derivation(kind: Any, options: Any) -> None:
    rng = np.random.default_rng(0)
    update, states = DERIVED[kind]
    parameters = [rng.normal(size=shape) for shape in SHAPES]
    derived = [[w, *[np.zeros_like(w)] * states] for w in parameters]
    parameters = [w.copy() for w in parameters]
    optimizer = kind(parameters, **options)
    for t in range(1, 51):
        gradients = draw(rng)
        optimizer.step(gradients)
        numbered = {"t": t} if kind in (Adam, AdamW) else {}
        given = {"lr": optimizer.lr, **options, **numbered}
        derived = [
            update(*state[:1], g, *state[1:], **given)
            for state, g in zip(derived, gradients, strict=True)
        ]
        for w, state in zip(parameters, derived, strict=True):
            assert_allclose(w, state[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_those_of_torch_optim(kind: Any) -> None:
    ours = inspect.signature(kind).parameters
    theirs = inspect.signature(getattr(torch.optim, kind.__name__)).parameters
    compared = {name: ours[name].default for name in ours if name != "parameters"}
    assert compared == {name: theirs[name].default for name in compared}


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_of_the_derivation_are_those_of_torch_optim(kind: Any) -> None:
    update, _ = DERIVED[kind]
    theirs = inspect.signature(getattr(torch.optim, kind.__name__)).parameters
    ours = inspect.signature(update).parameters.values()
    given = {p.name: p.default for p in ours if p.default is not inspect.Parameter.empty}
    assert given == {name: theirs[name].default for name in given}
    assert "weight_decay" in given


@pytest.mark.parametrize("kind", KINDS)
def test_every_array_of_a_derivation_has_the_shape_and_dtype_of_the_others(kind: Any) -> None:
    update, states = DERIVED[kind]
    numbered = {"t": 1} if kind in (Adam, AdamW) else {}
    spoils: list[tuple[Any, type[Exception]]] = [
        (lambda array: array[:2], ValueError),
        (lambda array: array.astype(np.float32), TypeError),
        (lambda array: array.tolist(), TypeError),
    ]
    for place in range(2 + states):
        for spoil, error in spoils:
            arrays = [np.ones(3) for _ in range(2 + states)]
            arrays[place] = spoil(arrays[place])
            with pytest.raises(error, match="expected"):
                update(*arrays, lr=0.1, **numbered)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copied_or_pickled_optimizer_goes_on_as_the_first_would(kind: Any) -> None:
    rng = np.random.default_rng(0)
    optimizer = kind([rng.normal(size=shape) for shape in SHAPES], lr=0.1)
    optimizer.step(draw(rng))
    copies = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    gradients = draw(rng)
    for each in (optimizer, *copies):
        each.step(gradients)
    for again in copies:
        for w, copied in zip(optimizer.parameters, again.parameters, strict=True):
            assert_array_equal(w, copied)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_and_gradients_of_any_layout_and_dtype_are_taken(kind: Any) -> None:
    rng = np.random.default_rng(0)
    W = rng.normal(size=(6, 4))
    alone, g = W.copy(), rng.normal(size=(6, 4))
    turned = W.copy().T
    mixed = [np.array(1.0), turned, np.ones(3, np.float32), np.zeros((0, 2)), np.ones(2)]
    optimizer, reference = kind(mixed, lr=0.1), kind([alone], lr=0.1)
    for _ in range(2):
        optimizer.step([np.array(2.0), g.T, np.ones(3, np.float32), np.zeros((0, 2)), np.ones(2)])
        reference.step([g])
    assert_allclose(turned.T, alone, rtol=1e-14)
    assert mixed[0] < 1
    assert mixed[2].dtype == np.float32
    assert_allclose(mixed[2][:2], mixed[4], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_in_double_precision_does_not_make_single_precision_double(kind: Any) -> None:
    found = []
    for rate in (0.1, np.float64(0.1)):
        w = np.ones(5, np.float32)
        optimizer = kind([w], lr=rate)
        for _ in range(3):
            optimizer.step([np.linspace(-1, 1, 5, dtype=np.float32)])
        found.append(w)
    assert_array_equal(found[0], found[1])


def test_blocks_hold_every_number_once_and_are_not_larger_than_asked() -> None:
    parameters = [np.arange(12.0).reshape(4, 3), np.arange(12.0, 15.0), np.arange(15.0, 17.0)]
    cut = blocks.cut(parameters, states=2, capacity=7)
    assert [block.size for block in cut] == [6, 6, 5]
    assert [len(block.states) for block in cut] == [2, 2, 2]
    gathered = [block.gather(parameters, out=np.empty(7)) for block in cut]
    assert_array_equal(np.concatenate(gathered), np.arange(17))
    for block, numbers in zip(cut, gathered, strict=True):
        block.subtract(numbers, parameters)
    assert all(not w.any() for w in parameters)


def test_a_block_is_filled_to_the_last_number_and_holds_65536_unless_told_otherwise() -> None:
    halves = [np.ones(3), np.ones(3), np.ones(1)]
    assert [block.size for block in blocks.cut(halves, states=0, capacity=6)] == [6, 1]
    assert [block.size for block in blocks.cut([np.ones(65_537)], states=0)] == [65_536, 1]


def test_a_block_ends_where_the_dtype_changes_and_not_before() -> None:
    kinds = [np.float64, np.float32, np.float32, np.float64, np.float64]
    cut = blocks.cut([np.ones(2, kind) for kind in kinds], states=1)
    assert [(block.dtype.itemsize, block.size) for block in cut] == [(8, 2), (4, 4), (8, 4)]
    assert [block.states[0].dtype for block in cut] == [np.float64, np.float32, np.float64]


def test_a_block_is_a_view_of_one_parameter_or_written_where_it_is_told() -> None:
    room = np.zeros(9)
    alone, both = np.arange(6.0), [np.arange(3.0), np.arange(3.0)]
    (block,) = blocks.cut([alone], states=0)
    assert np.shares_memory(block.gather([alone], out=room), alone)
    W = np.ones((4, 3))
    for rows in blocks.cut([W], states=0, capacity=7):
        assert np.shares_memory(rows.gather([W], out=room), W), "rows of one parameter lie together"
    (block,) = blocks.cut(both, states=0)
    assert np.shares_memory(block.gather(both, out=room), room)
    assert_array_equal(room, [0, 1, 2, 0, 1, 2, 0, 0, 0])


def test_a_row_longer_than_a_block_stays_together() -> None:
    assert [block.size for block in blocks.cut([np.ones((2, 9))], states=0, capacity=4)] == [9, 9]


def with_gradients(gradients: list[np.ndarray]) -> list[torch.Tensor]:
    tensors = [torch.zeros(g.shape, dtype=torch.float64) for g in gradients]
    for tensor, g in zip(tensors, gradients, strict=True):
        tensor.grad = torch.tensor(g)
    return tensors


@pytest.mark.parametrize("limit", [0.5, 4.0, 1e6])
def test_clipping_is_that_of_torch_and_changes_no_gradient(limit: float) -> None:
    gradients = draw(np.random.default_rng(1))
    kept = [g.copy() for g in gradients]
    tensors = with_gradients(gradients)
    their_norm = torch.nn.utils.clip_grad_norm_(tensors, limit)
    scaled, norm = clip_by_norm(gradients, limit)
    assert norm == pytest.approx(float(their_norm), rel=1e-12)
    cut_off = with_gradients(gradients)
    torch.nn.utils.clip_grad_value_(cut_off, limit)
    found = [*scaled, *clip_by_value(gradients, limit)]
    for ours, theirs in zip(found, [*tensors, *cut_off], strict=True):
        assert theirs.grad is not None
        assert_allclose(ours, theirs.grad.numpy(), rtol=1e-12)
    for g, before in zip(gradients, kept, strict=True):
        assert_array_equal(g, before)


def test_clipping_keeps_single_precision() -> None:
    g = np.ones(3, np.float32)
    assert clip_by_norm([g], np.float64(0.1))[0][0].dtype == np.float32
    assert clip_by_value([g], np.float64(0.1))[0].dtype == np.float32


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_value])
def test_what_cannot_be_clipped_is_told(clip: Any) -> None:
    g = np.ones(2)
    for gradients, limit, error, message in [
        ([], 1.0, ValueError, "at least one gradient, got none: run the backward pass first"),
        ([g], 0.0, ValueError, "from .* up and finite, got 0.0"),
        ([g], -1.0, ValueError, "got -1.0"),
        ([g], "1", TypeError, "to be a number, got '1'"),
        ([g, [1.0]], 1.0, TypeError, r"expected gradients\[1\] to be an array of floats, got list"),
        ([np.ones(2, int)], 1.0, TypeError, r"expected gradients\[0\] to hold floats, got int64"),
    ]:
        with pytest.raises(error, match=message):
            clip(gradients, limit)


def test_nesterov_and_decay_are_those_worked_by_hand() -> None:
    w = np.array([1.0])
    optimizer = SGD([w], lr=0.1, momentum=0.5, nesterov=True)
    for gradient, after in [(2.0, 0.7), (2.0, 0.35)]:  # v = 2, 3; steps 2 + 1, 2 + 1.5
        optimizer.step([np.array([gradient])])
        assert w[0] == pytest.approx(after, rel=1e-14)
    w = np.array([2.0])
    SGD([w], lr=0.1, weight_decay=0.5).step([np.array([3.0])])  # 3 + 0.5 * 2 = 4
    assert w[0] == pytest.approx(1.6, rel=1e-14)


def test_momentum_steps_are_those_worked_by_hand() -> None:
    w = np.array([1.0])
    optimizer = SGD([w], lr=0.1, momentum=0.5)
    for gradient, after in [(2.0, 0.8), (2.0, 0.5), (-1.0, 0.45)]:  # v = 2, 3, 0.5
        optimizer.step([np.array([gradient])])
        assert w[0] == pytest.approx(after, rel=1e-14)


def test_the_first_step_of_adam_is_the_rate_whatever_the_gradients_size() -> None:
    w = np.zeros(4)
    Adam([w], lr=0.25).step([np.array([1e-3, -1.0, 1e5, 0.0])])
    assert_allclose(w, [-0.25, 0.25, -0.25, 0], rtol=2e-5)


@pytest.mark.parametrize("make", KINDS)
def test_parameters_change_in_place_and_gradients_do_not_change(make: Any) -> None:
    w, g = np.ones((2, 2), dtype=np.float32), np.ones((2, 2), dtype=np.float32)
    optimizer = make([w], lr=0.1)
    for _ in range(2):
        optimizer.step([g])
    assert optimizer.parameters[0] is w
    assert w.dtype == np.float32
    assert np.all(w < 1)
    assert_array_equal(g, 1)


@each_run
def test_a_step_makes_no_array_of_the_parameters_size(kind: Any, options: Any) -> None:
    w, g = np.ones(60_000), np.linspace(-1, 1, 60_000)
    optimizer = kind([w], **options)
    tracemalloc.start()
    try:
        optimizer.step([g])
        assert tracemalloc.get_traced_memory()[1] < w.nbytes / 10
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("kind", "without", "with_momentum"), [(SGD, 0, 1), (RMSprop, 1, 2)])
def test_a_velocity_is_kept_only_with_momentum(kind: Any, without: int, with_momentum: int) -> None:
    for momentum, states in ((0.0, without), (0.5, with_momentum)):
        optimizer = kind([np.ones(3)], momentum=momentum)
        assert [len(block.states) for block in optimizer._blocks] == [states]


def test_an_optimizer_that_does_not_say_what_it_subtracts_is_told() -> None:
    with pytest.raises(NotImplementedError):
        Optimizer([np.ones(2)], 0.1, 0.0, 0).step([np.ones(2)])


@pytest.mark.parametrize("make", KINDS)
def test_bad_gradients_are_told_before_anything_changes(make: Any) -> None:
    parameters = [np.ones((2, 1)), np.ones(1)]
    optimizer = make(parameters, lr=0.1)
    right = np.ones((2, 1))
    for gradients, error, message in [
        ([right], ValueError, "a gradient for each of 2 parameters, got 1"),
        ([], ValueError, "got 0: run the backward pass first"),
        ([right, np.ones((1, 1))], ValueError, r"expected gradients\[1\] of shape \(1,\)"),
        ([right, np.ones(1, dtype=np.float32)], TypeError, r"expected gradients\[1\] in float64"),
        ([right, [1.0]], TypeError, r"expected gradients\[1\] to be an array of floats, got list"),
        ([right, None], TypeError, "got NoneType"),
    ]:
        with pytest.raises(error, match=message):
            optimizer.step(gradients)
    assert_array_equal(parameters[0], 1)
    optimizer.step([right, np.ones(1)])
    assert optimizer.steps == 1


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (SGD, {"lr": -0.1}, "expected lr from 0 up and finite, got -0.1"),
        (SGD, {"lr": float("nan")}, "expected lr from 0 up and finite, got nan"),
        (SGD, {"lr": float("inf")}, "expected lr from 0 up and finite, got inf"),
        (SGD, {"lr": 0.1, "momentum": 1.5}, "expected momentum from 0 up and below 1, got 1.5"),
        (SGD, {"weight_decay": -1}, "expected weight_decay from 0 up and finite, got -1"),
        (SGD, {"nesterov": True}, "expected a momentum above 0 with nesterov=True, got 0"),
        (Adagrad, {"lr": -1}, "expected lr from 0 up and finite, got -1"),
        (Adagrad, {"eps": 0}, "expected eps from .* up and finite, got 0"),
        (RMSprop, {"alpha": 1}, "expected alpha from 0 up and below 1, got 1"),
        (RMSprop, {"eps": 0}, "expected eps from .* up and finite, got 0"),
        (RMSprop, {"momentum": -0.1}, "expected momentum from 0 up and below 1, got -0.1"),
        (RMSprop, {"momentum": 1.0}, r"expected momentum from 0 up and below 1, got 1\.0"),
        (RMSprop, {"alpha": -0.5}, r"expected alpha from 0 up and below 1, got -0\.5"),
        (SGD, {"momentum": -0.5}, r"expected momentum from 0 up and below 1, got -0\.5"),
        (SGD, {"momentum": 1.0}, r"expected momentum from 0 up and below 1, got 1\.0"),
        (SGD, {"weight_decay": -0.5}, r"expected weight_decay from 0 up and finite, got -0\.5"),
        (Adam, {"betas": (-0.5, 0.9)}, r"expected betas\[0\] from 0 up and below 1, got -0\.5"),
        (Adam, {"betas": (1.0, 0.9)}, r"expected betas\[0\] from 0 up and below 1, got 1\.0"),
        (AdamW, {"weight_decay": -0.1}, "expected weight_decay from 0 up and finite, got -0.1"),
        (Adam, {"lr": -1}, "expected lr from 0 up and finite, got -1"),
        (Adam, {"betas": (0.9, 1.0)}, r"expected betas\[1\] from 0 up and below 1, got 1.0"),
        (Adam, {"eps": 0.0}, "expected eps from .* up and finite, got 0.0"),
    ],
)
def test_numbers_out_of_range_are_told(make: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make([np.ones(2)], **options)


@pytest.mark.parametrize("make", KINDS)
def test_parameters_that_cannot_be_trained_are_told(make: Any) -> None:
    fixed = np.ones(2)
    fixed.flags.writeable = False
    for parameters, error, message in [
        ([], ValueError, "at least one parameter, got none"),
        ([np.ones(2, dtype=int)], TypeError, r"expected parameters\[0\] to hold floats, got int64"),
        ([np.ones(2), 3.0], TypeError, r"expected parameters\[1\] to be an array"),
        ([fixed], ValueError, r"got a read-only array: use parameters\[0\].copy\(\)"),
    ]:
        with pytest.raises(error, match=message):
            make(parameters, lr=0.1)
    with pytest.raises(TypeError, match="expected lr to be a number, got 'fast'"):
        make([np.ones(2)], lr="fast")
    with pytest.raises(TypeError, match="expected lr to be a number, got True"):
        make([np.ones(2)], lr=True)
