from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from dlbook.scratch import schedules
from dlbook.scratch.optimizers import SGD

STEPS = 100
SCHEDULES: list[tuple[Any, dict[str, Any], Any, dict[str, Any]]] = [
    (schedules.step_decay, {"step_size": 30}, lr_scheduler.StepLR, {}),
    (schedules.step_decay, {"step_size": 7, "gamma": 0.6}, lr_scheduler.StepLR, {}),
    (schedules.exponential, {"gamma": 0.95}, lr_scheduler.ExponentialLR, {}),
    (schedules.cosine, {"T_max": 99}, lr_scheduler.CosineAnnealingLR, {}),
    (schedules.cosine, {"T_max": 30, "eta_min": 0.01}, lr_scheduler.CosineAnnealingLR, {}),
    (schedules.linear_warmup, {}, lr_scheduler.LinearLR, {}),
    (
        schedules.linear_warmup,
        {"start_factor": 0.01, "total_iters": 40},
        lr_scheduler.LinearLR,
        {},
    ),
    (
        schedules.one_cycle,
        {"total_steps": STEPS},
        lr_scheduler.OneCycleLR,
        {"cycle_momentum": False},
    ),
    (
        schedules.one_cycle,
        {"total_steps": 130, "pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 50.0},
        lr_scheduler.OneCycleLR,
        {"cycle_momentum": False},
    ),
]


@pytest.mark.parametrize(("schedule", "options", "theirs", "their_options"), SCHEDULES)
def test_a_hundred_steps_have_the_rates_and_the_parameters_of_torch(
    schedule: Any, options: Any, theirs: Any, their_options: Any
) -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=3)
    rate = "max_lr" if schedule is schedules.one_cycle else "lr"
    tensor = torch.tensor(w)
    reference = torch.optim.SGD([tensor], lr=0.3, momentum=0.9)
    given = {"max_lr": 0.3} if rate == "max_lr" else {}
    scheduler = theirs(reference, **given, **options, **their_options)
    optimizer = SGD([w], lr=0.3, momentum=0.9)
    for t in range(STEPS):
        optimizer.lr = schedule(t, **{rate: 0.3}, **options)
        assert optimizer.lr == pytest.approx(reference.param_groups[0]["lr"], rel=0, abs=1e-10)
        g = rng.normal(size=3)
        tensor.grad = torch.tensor(g)
        optimizer.step([g])
        reference.step()
        scheduler.step()
        np.testing.assert_allclose(w, tensor.numpy(), rtol=0, atol=1e-10)


def test_one_cycle_starts_peaks_and_ends_where_it_says() -> None:
    rates = [schedules.one_cycle(t, max_lr=2.0, total_steps=50, pct_start=0.2) for t in range(50)]
    assert rates[0] == pytest.approx(2 / 25, rel=1e-12)
    assert max(rates) == rates[9] == 2
    assert rates[-1] == pytest.approx(2 / 25 / 1e4, rel=1e-12)


def test_a_cycle_may_start_and_end_at_its_highest_rate() -> None:
    options: dict[str, Any] = {"max_lr": 2.0, "total_steps": 10, "pct_start": 0.5}
    flat = [schedules.one_cycle(t, **options, div_factor=1, final_div_factor=1) for t in range(10)]
    assert flat == pytest.approx([2.0] * 10, rel=1e-12)


def test_one_step_is_enough_to_rise_in() -> None:
    rates = [schedules.one_cycle(t, max_lr=1.0, total_steps=4, pct_start=0.5) for t in range(4)]
    assert rates == pytest.approx([1 / 25, 1, (1 + 1 / 25e4) / 2, 1 / 25e4], rel=1e-12)


def test_a_cycle_of_no_step_or_of_half_a_step_is_told() -> None:
    with pytest.raises(ValueError, match="expected total_steps of at least 1, got 0"):
        schedules.one_cycle(0, max_lr=1.0, total_steps=0)
    half: Any = 9.5
    with pytest.raises(TypeError, match=r"expected total_steps to be a whole number, got 9\.5"):
        schedules.one_cycle(0, max_lr=1.0, total_steps=half)


@pytest.mark.parametrize(
    ("pct_start", "message"),
    [
        (1.0, "expected pct_start from 0 up and below 1, got 1.0"),
        (-0.5, "expected pct_start from 0 up and below 1, got -0.5"),
        (0.25, r"pct_start \* total_steps above 1.*got 0.25 \* 4"),
    ],
)
def test_a_rise_that_takes_all_steps_or_none_is_told(pct_start: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedules.one_cycle(0, max_lr=1.0, total_steps=4, pct_start=pct_start)


@pytest.mark.parametrize(
    ("schedule", "options", "name"),
    [
        (schedules.step_decay, {"lr": -0.5, "step_size": 2}, "lr"),
        (schedules.step_decay, {"lr": 1.0, "step_size": 2, "gamma": -0.5}, "gamma"),
        (schedules.exponential, {"lr": -0.5, "gamma": 0.5}, "lr"),
        (schedules.exponential, {"lr": 1.0, "gamma": -0.5}, "gamma"),
        (schedules.cosine, {"lr": -0.5, "T_max": 2}, "lr"),
        (schedules.cosine, {"lr": 1.0, "T_max": 2, "eta_min": -0.5}, "eta_min"),
        (schedules.linear_warmup, {"lr": -0.5}, "lr"),
        (schedules.linear_warmup, {"lr": 1.0, "start_factor": -0.5}, "start_factor"),
        (schedules.one_cycle, {"max_lr": -0.5, "total_steps": 9}, "max_lr"),
    ],
)
def test_a_number_barely_below_zero_is_told_by_its_name(
    schedule: Any, options: Any, name: str
) -> None:
    with pytest.raises(ValueError, match=rf"expected {name} from 0 up and finite, got -0\.5"):
        schedule(0, **options)


def test_half_of_the_cosine_is_half_of_the_rate() -> None:
    assert schedules.cosine(50, lr=0.8, T_max=100) == pytest.approx(0.4, rel=1e-12)
    assert schedules.cosine(100, lr=0.8, T_max=100, eta_min=0.1) == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize(
    ("schedule", "t", "options", "error", "message"),
    [
        (schedules.step_decay, -1, {"lr": 1, "step_size": 2}, ValueError, "t of at least 0, got -"),
        (schedules.step_decay, 0.5, {"lr": 1, "step_size": 2}, TypeError, "t to be a whole number"),
        (schedules.step_decay, 0, {"lr": 1, "step_size": 0}, ValueError, "step_size of at least 1"),
        (schedules.step_decay, 0, {"lr": -1, "step_size": 1}, ValueError, "expected lr from 0 up"),
        (schedules.exponential, 0, {"lr": 1, "gamma": -0.1}, ValueError, "gamma from 0 up and fin"),
        (schedules.exponential, 0, {"lr": "1", "gamma": 0.1}, TypeError, "lr to be a number, got"),
        (schedules.cosine, 0, {"lr": 1, "T_max": 0}, ValueError, "T_max of at least 1, got 0"),
        (schedules.cosine, 0, {"lr": 1, "T_max": 2, "eta_min": -1}, ValueError, "eta_min from 0"),
        (schedules.linear_warmup, 0, {"lr": 1, "total_iters": 0}, ValueError, "total_iters of at"),
        (
            schedules.linear_warmup,
            0,
            {"lr": 1, "start_factor": float("nan")},
            ValueError,
            "start_factor from 0 up and finite, got nan",
        ),
        (schedules.one_cycle, 9, {"max_lr": 1, "total_steps": 9}, ValueError, "below total_steps"),
        (schedules.one_cycle, 0, {"max_lr": 1, "total_steps": 3}, ValueError, r"got 0.3 \* 3"),
        (
            schedules.one_cycle,
            0,
            {"max_lr": 1, "total_steps": 9, "pct_start": 30},
            ValueError,
            "pct_start from 0 up and below 1, got 30",
        ),
        (
            schedules.one_cycle,
            0,
            {"max_lr": 1, "total_steps": 9, "div_factor": 0},
            ValueError,
            "div_factor from 1 up",
        ),
        (
            schedules.one_cycle,
            0,
            {"max_lr": 1, "total_steps": 9, "final_div_factor": 0},
            ValueError,
            "final_div_factor from 1 up",
        ),
    ],
)
def test_numbers_out_of_range_are_told(
    schedule: Any, t: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        schedule(t, **options)
