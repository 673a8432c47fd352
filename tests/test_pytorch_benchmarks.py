"""What the measured loops compute, and what their records hold; no test times anything."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from dlbook.publishing.book import ROOT
from dlbook.pytorch import MLP, make_loader
from tests.benchmarks import gpu, pytorch_speed
from tests.benchmarks.recording import RESULTS

CPU = torch.device("cpu")
SIZES, BATCH, STEPS = (6, 16, 10), 8, 5


@pytest.mark.parametrize("optimizer", list(pytorch_speed.OPTIMIZERS))
def test_fit_makes_the_steps_of_the_bare_loop(optimizer: str) -> None:
    X, y = pytorch_speed.examples(3 * 32, pytorch_speed.SIZES[0])
    after = []
    for make in (pytorch_speed.by_fit, pytorch_speed.bare):
        loader = make_loader(X, y, batch_size=32, generator=pytorch_speed.seeded())
        epoch = make(optimizer, loader)
        epoch()
        after.append(epoch().detach())
    assert torch.equal(*after)


def test_all_ways_to_batches_give_the_same_rows() -> None:
    seen = {
        name: torch.cat([X for X, _ in batches])
        for name, batches in pytorch_speed.ways(3, 4, 5).items()
    }
    assert torch.equal(seen["loader"], seen["resident"])
    rows = {name: sorted(map(tuple, X.tolist())) for name, X in seen.items()}
    assert rows["samples"] == rows["loader"]
    assert len(rows["loader"]) == 4 * 5


def test_a_measured_part_has_each_contender_and_ratio() -> None:
    loop = pytorch_speed.loop("sgd", rounds=1, steps=1)
    assert set(loop["microseconds"]) == {"fit", "bare"}
    assert loop["ratio"] > 0
    batches = pytorch_speed.batches(2, 4, rounds=1, steps=2)
    assert set(batches["per_second"]) == {"samples", "loader", "resident"}
    assert min(batches["ratios"].values()) > 0


def test_fresh_processes_report_a_step_and_an_exchange() -> None:
    step, exchange = pytorch_speed.launch(2, 1, batch_size=8, steps=2)
    assert step > 0 < exchange


def test_a_loop_that_costs_too_much_is_named() -> None:
    assert pytorch_speed.missed({"sgd": {"ratio": 1.05}}) == []
    (complaint,) = pytorch_speed.missed({"sgd": {"ratio": 1.05}, "adam": {"ratio": 1.051}})
    assert complaint == "fit with adam: 1.051 times the bare loop's time, more than 1.05"


def losses(name: str, **options: Any) -> np.ndarray:
    learner = gpu.Learner(SIZES, BATCH * STEPS + 3, BATCH, CPU)
    epoch = gpu.CONTENDERS[name](learner, **options)
    return torch.cat([epoch(), epoch()]).numpy()


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """Two epochs of steps, written in line."""
    learner = gpu.Learner(SIZES, BATCH * STEPS + 3, BATCH, CPU)
    model = MLP(SIZES, generator=learner.seeded())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    loader = make_loader(
        learner.X, learner.y, batch_size=BATCH, generator=learner.seeded(), drop_last=True
    )
    seen = []
    for _ in range(2):
        for X, y in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            seen.append(loss.item())
    return np.array(seen)


@pytest.mark.parametrize("name", ["naive", "resident"])
def test_in_float32_where_the_data_are_changes_no_loss(name: str, expected: np.ndarray) -> None:
    assert len(expected) == 2 * STEPS
    assert_allclose(losses(name), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bf16", {}),
        ("compiled", {"backend": "aot_eager"}),  # fuses nothing, so needs no compiler
        ("graphs", {"backend": "aot_eager"}),
    ],
)
def test_in_bfloat16_the_losses_stay_within_its_precision(
    name: str, options: dict[str, str], expected: np.ndarray
) -> None:
    """bfloat16 keeps 8 bits: a product is off by up to 2⁻⁸, and logits add up a few of them."""
    found = losses(name, **options)
    assert_allclose(found, expected, rtol=2**-6)
    assert not np.allclose(found, expected, rtol=1e-6), "it was computed in bfloat16"
    assert_allclose(found, losses("bf16"), rtol=1e-6)


def test_operations_of_a_step_are_counted_by_its_products() -> None:
    """Two layers: forward XW₁ and AW₂, backward to both weights, and to A."""
    assert gpu.flops((3, 5, 2)) == 2 * (15 + 10 + 15 + 10 + 10)


def test_the_rate_of_products_counts_additions_and_multiplications(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu, "in_turn", lambda *_: {"product": [0.5, 0.25, 1.0]})
    assert gpu.product_rate(torch.float32, CPU, rounds=3, rows=4) == 2 * 4**3 / 0.5


def test_a_measured_network_has_each_loop_its_gain_and_its_share() -> None:
    loops = {name: gpu.CONTENDERS[name] for name in ("naive", "resident", "bf16")}
    rates = {"float32": 1e9, "bf16": 2e9}
    cell = gpu.measure(SIZES, BATCH, CPU, rates, rounds=2, steps=STEPS, contenders=loops)
    assert list(cell["samples_per_second"]) == ["naive", "resident", "bf16"]
    assert list(cell["ratios"]) == ["resident", "bf16"], "each against the one before"
    for name, rate in (("resident", 1e9), ("bf16", 2e9)):
        share = gpu.flops(SIZES) * cell["samples_per_second"][name] / rate
        assert cell["share_of_products"][name] == pytest.approx(share, abs=1e-4)


def test_without_a_gpu_one_line_says_that_nothing_was_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu"])
    gpu.main()
    assert capsys.readouterr().out == (
        "no CUDA device: nothing was measured on a GPU, nothing recorded\n"
    )


def test_the_page_shows_gpu_times_exactly_where_some_were_recorded() -> None:
    page = (ROOT / "book/how-fast.md").read_text(encoding="utf-8")
    assert (RESULTS / "gpu.json").is_file() == ("{{ gpu:" in page)


def test_what_the_book_states_of_pytorch_was_recorded_with_what_it_missed() -> None:
    recorded = json.loads((RESULTS / "pytorch.json").read_text(encoding="utf-8"))["values"]
    assert set(recorded["loop"]) == set(pytorch_speed.OPTIMIZERS)
    assert recorded["missed"] == pytorch_speed.missed(recorded["loop"])
