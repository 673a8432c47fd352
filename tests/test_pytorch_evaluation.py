"""``evaluate`` and ``predict`` against what PyTorch computes in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # PyTorch's own name for it

from dlbook.pytorch import make_loader
from dlbook.pytorch.evaluation import evaluate, predict
from tests.on_device import DEVICE
from tests.torch_runs import CLASSES, batches, every_kind_of_layer, joined, network, there


def test_an_untrained_network_is_measured_over_examples_not_over_batches() -> None:
    model, parts = network(), batches(16, 16, 16, 2)
    measured = evaluate(model, CLASSES, parts, device=DEVICE)
    X, y = there(joined(parts))
    with torch.no_grad():
        Z = model(X)
        means = [F.cross_entropy(model(X), y).item() for X, y in map(there, parts)]
    assert measured["loss"] == pytest.approx(F.cross_entropy(Z, y).item(), rel=1e-12)
    assert measured["loss"] != pytest.approx(np.mean(means), rel=1e-3), "the common mistake"
    assert measured["accuracy"] == (Z.argmax(1) == y).double().mean().item()


def test_the_size_of_the_batches_changes_no_measure() -> None:
    X, y = joined(batches(50))
    model = every_kind_of_layer()
    whole = evaluate(model, CLASSES, [(X, y)], device=DEVICE)
    for size in (1, 7, 50):
        parts = evaluate(model, CLASSES, make_loader(X, y, batch_size=size), device=DEVICE)
        assert parts == pytest.approx(whole, rel=1e-12)


class Answer(nn.Module):
    """Answers with what it is asked."""

    def forward(self, X: Tensor) -> Tensor:
        return X


@pytest.mark.parametrize(
    ("loss", "Z", "y", "accuracy"),
    [
        (nn.CrossEntropyLoss(), [[1.0, 2], [3, 1], [0, 1]], [1, 1, 1], 2 / 3),
        (nn.BCEWithLogitsLoss(), [[-0.1], [0.1], [2], [3]], [[0.0], [1], [0], [1]], 3 / 4),
        (nn.BCEWithLogitsLoss(), [[-1.0, 1], [1, 1]], [[0.0, 1], [0, 0]], 2 / 4),  # two labels each
        # classes of 2 pixels each: logits of shape (n, k, pixels)
        (nn.CrossEntropyLoss(), [[[1.0, 0], [0, 1]], [[0, 0], [1, 1]]], [[0, 0], [1, 1]], 3 / 4),
        (nn.CrossEntropyLoss(), [[1.0, 2], [3, 1]], [[0.5, 0.5], [1, 0]], None),  # probabilities
        (nn.MSELoss(), [[1.0], [2]], [[1.0], [2]], None),
        (nn.PoissonNLLLoss(), [[0.0], [1]], [[0], [2]], None),  # integers that are no classes
    ],
    ids=["classes", "two classes", "labels", "pixels", "probabilities", "numbers", "counts"],
)
def test_accuracy_is_the_share_of_right_answers_where_targets_are_classes(
    loss: nn.Module, Z: Any, y: Any, accuracy: float | None
) -> None:
    measured = evaluate(Answer(), loss, [(torch.tensor(Z), torch.tensor(y))], device=DEVICE)
    assert measured.get("accuracy") == (None if accuracy is None else pytest.approx(accuracy))


def test_a_loss_of_ones_own_is_given_what_it_asks_for() -> None:
    class Pinball(nn.Module):
        """Takes three quantiles of shape (n, 3) and targets of shape (n,)."""

        def forward(self, Z: Tensor, y: Tensor) -> Tensor:
            quantiles, error = Z.new_tensor([0.1, 0.5, 0.9]), y[:, None] - Z
            return torch.maximum(quantiles * error, (quantiles - 1) * error).mean()

    Z, y = torch.zeros(2, 3), torch.tensor([1.0, -1])
    assert evaluate(Answer(), Pinball(), [(Z, y)], device=DEVICE) == {"loss": pytest.approx(0.5)}


@pytest.mark.parametrize("use", ["evaluate", "predict"])
@pytest.mark.parametrize("fails", [False, True], ids=["", "although it fails"])
def test_each_layer_is_put_back_into_its_own_mode(use: str, fails: bool) -> None:
    model = every_kind_of_layer()
    model.train()
    model[1].eval()  # batch normalization kept fixed, as in fine-tuning
    before = [layer.training for layer in model.modules()]
    seen: list[bool] = []

    def note(layer: nn.Module, inputs: Any, output: Any) -> None:
        seen.extend([layer.training, torch.is_grad_enabled()])
        if fails:
            raise RuntimeError("out of memory")

    model[0].register_forward_hook(note)
    X, y = batches(4)[0]
    try:
        if use == "evaluate":
            evaluate(model, CLASSES, [(X, y)], device=DEVICE)
        else:
            predict(model, X, device=DEVICE)
    except RuntimeError:
        assert fails
    assert seen == [False, False], "evaluation mode, no graph"
    assert [layer.training for layer in model.modules()] == before
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("batch_size", [1, 3, 7, 1024])
def test_predict_gives_the_outputs_in_order_whatever_the_batch(batch_size: int) -> None:
    model, (X, _) = every_kind_of_layer(), batches(7)[0]
    outputs = predict(model, X, batch_size=batch_size, device=DEVICE)
    with torch.no_grad():
        expected = model.eval()(X.to(DEVICE)).cpu()
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-12)
    assert not outputs.requires_grad


def test_no_inputs_have_no_outputs_of_the_right_shape() -> None:
    X, _ = batches(7)[0]
    assert predict(network(), X[:0], device=DEVICE).shape == (0, 3)
    assert predict(nn.Conv2d(1, 2, 3), torch.zeros(0, 1, 8, 8), device=DEVICE).shape == (0, 2, 6, 6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "expected batch_size of at least 1, got 0"),
        ({"batch_size": 2.0}, TypeError, r"batch_size to be a whole number, got 2\.0"),
        ({"device": "tpu"}, ValueError, "device 'tpu'"),
        ({"amp": "fp8"}, ValueError, "amp to be 'bf16', 'fp16' or None, got 'fp8'"),
        ({"X": torch.zeros(2, 3)}, TypeError, "X in torch.float64, .* got torch.float32"),
    ],
    ids=str,
)
def test_predict_refuses_what_it_cannot_do(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    given = {"X": torch.zeros(2, 3, dtype=torch.float64), "device": DEVICE, **options}
    with pytest.raises(error, match=message):
        predict(network(), **given)
