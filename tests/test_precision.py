"""Mixed precision: what is computed in 16 bits, and what an overflow does."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it
from torch.optim.lr_scheduler import StepLR

from dlbook.pytorch import training
from dlbook.pytorch.evaluation import evaluate, predict
from dlbook.pytorch.precision import Amp, Precision
from dlbook.pytorch.state import Run
from tests.on_device import DEVICE
from tests.torch_runs import CLASSES, batches, joined, network, sgd, there, vector

fit = partial(training.fit, device=DEVICE)
DTYPES = [("bf16", torch.bfloat16), ("fp16", torch.float16)]


@pytest.mark.parametrize(("amp", "dtype"), DTYPES)
def test_outputs_are_in_16_bits_and_loss_parameters_and_gradients_in_32(
    amp: Amp, dtype: torch.dtype
) -> None:
    model, loss = network(dtype=torch.float32), nn.CrossEntropyLoss()
    outputs: list[tuple[bool, torch.dtype]] = []
    losses: set[torch.dtype] = set()
    model.register_forward_hook(lambda _, __, Z: outputs.append((model.training, Z.dtype)))
    loss.register_forward_hook(lambda _, __, mean: losses.add(mean.dtype))
    parts = batches(8, 8, dtype=torch.float32)
    fit(model, loss, sgd(model, momentum=0.9), parts, epochs=1, amp=amp, validation=parts)
    assert outputs == [(False, dtype), *[(True, dtype)] * 2, *[(False, dtype)] * 2]
    assert losses == {torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}
    evaluate(model, loss, parts, device=DEVICE)
    assert outputs[-1] == (False, torch.float32), "without amp nothing is in 16 bits"


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
@pytest.mark.parametrize(
    "loss",
    [nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, nn.MSELoss, nn.L1Loss, nn.HuberLoss],
    ids=lambda loss: loss.__name__,
)
def test_pytorchs_losses_are_computed_in_single_precision(loss: type[nn.Module], amp: Amp) -> None:
    X = torch.tensor([[300.0, 1.0]], device=DEVICE)
    model = nn.Linear(2, 2, device=DEVICE)
    with Precision(amp, torch.device(DEVICE)).autocast():
        Z = model(X)
        mean = loss()(Z, torch.zeros(1, 2, device=DEVICE))
    assert mean.dtype == torch.float32
    reference = loss()(Z.float(), torch.zeros(1, 2, device=DEVICE))
    assert mean.item() == pytest.approx(reference.item(), rel=1e-6)


@pytest.mark.parametrize(("amp", "bits"), [("bf16", 8), ("fp16", 11)])
def test_a_run_stays_near_that_in_single_precision_and_is_not_the_same(amp: Amp, bits: int) -> None:
    """Each of three roundings (input, weight, output) moves a logit by a part in 2**bits at most.

    The logits are a few units, the loss moves by no more than they do, and twenty small steps add
    errors of the same kind, most of which cancel: ten parts in 2**bits are room enough.
    """
    parts = batches(16, 16, dtype=torch.float32)

    def losses(amp: Amp | None) -> Tensor:
        model = network(dtype=torch.float32)
        history = fit(model, CLASSES, sgd(model), parts, epochs=10, amp=amp)
        return torch.tensor(history["train_loss"], dtype=torch.float64)

    apart = (losses(amp) - losses(None)).abs()
    assert 0 < apart.max() < 10 / 2**bits


def overflowing_run(**options: Any) -> tuple[list[float], list[float], list[Tensor]]:
    """Train with fp16 on gradients of about 8; return scale, rate and parameters of each step."""
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.zero_()
    optimizer = sgd(model, lr=0.001)
    scales, rates, weights = [], [], [vector(model)]

    def note(run: Run) -> None:
        assert run.scaler is not None
        scales.append(run.scaler.get_scale())
        rates.append(run.optimizer.param_groups[0]["lr"])
        weights.append(vector(model))

    pair = (torch.ones(4, 1), torch.full((4, 1), 4.0))  # the gradient is 2 · (0 - 4) · 1 = -8
    fit(
        model, nn.MSELoss(), optimizer, [pair], epochs=6, amp="fp16",
        schedule=StepLR(optimizer, 1, gamma=0.5), callbacks=[note], **options,
    )  # fmt: skip
    return scales, rates, weights


def test_a_step_that_overflows_is_left_out_halves_the_scale_and_holds_the_schedule_back() -> None:
    scales, rates, weights = overflowing_run()
    # 8 · 2**16 = 2**19; the largest number of fp16 lies below 2**16, so 4 halvings are needed
    assert scales == [2.0**k for k in (15, 14, 13, 12, 12, 12)]
    changed = [not torch.equal(a, b) for a, b in pairwise(weights)]
    assert changed == [False] * 4 + [True] * 2
    assert rates == [0.001] * 4 + [0.0005, 0.00025]
    assert weights[5].item() == pytest.approx(0.001 * 8, rel=1e-3), "scaled down before the step"


def test_gradients_are_scaled_down_before_they_are_clipped() -> None:
    *_, weights = overflowing_run(max_norm=2.0)
    assert weights[5].item() == pytest.approx(0.001 * 2, rel=1e-3)


def test_accumulated_batches_make_one_scaled_step() -> None:
    parts = batches(8, 8, 4, dtype=torch.float32)
    model, bare = network(dtype=torch.float32), network(dtype=torch.float32).to(DEVICE)
    fit(model, CLASSES, sgd(model), parts, epochs=1, amp="fp16", accumulate=3)
    X, y = there(joined(parts))
    F.cross_entropy(bare(X), y).backward()  # type: ignore[no-untyped-call]
    sgd(bare).step()
    step = (vector(bare) - vector(network(dtype=torch.float32))).norm()
    assert (vector(model) - vector(bare)).norm() < 0.01 * step


@pytest.mark.parametrize(("amp", "dtype"), DTYPES)
def test_predictions_computed_in_16_bits_come_in_single_precision(
    amp: Amp, dtype: torch.dtype
) -> None:
    model, (X, _) = network(dtype=torch.float32), batches(9, dtype=torch.float32)[0]
    Z, reference = predict(model, X, device=DEVICE, amp=amp), predict(model, X, device=DEVICE)
    assert Z.dtype == torch.float32
    assert torch.equal(Z, Z.to(dtype).float()), "each number is one of 16 bits"
    assert 0 < (Z - reference).abs().max() < 0.05


def test_without_fp16_nothing_is_scaled() -> None:
    for amp in (None, "bf16"):
        scaler = Precision(amp, torch.device(DEVICE)).scaler
        assert not scaler.is_enabled()
        assert scaler.state_dict() == {}


def test_an_unknown_precision_is_told() -> None:
    kind: Any = "float16"
    with pytest.raises(ValueError, match="expected amp to be 'bf16', 'fp16' or None, got 'float16"):
        Precision(kind, torch.device(DEVICE))
