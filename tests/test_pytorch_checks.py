"""Runs that would go wrong, in silence or late: each is refused before anything is learned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from dlbook.history import History
from dlbook.pytorch.evaluation import evaluate
from dlbook.pytorch.training import fit
from tests.on_device import DEVICE
from tests.torch_runs import CLASSES, batches, network, sgd, vector

X = torch.zeros(4, 3, dtype=torch.float64)
IDS = torch.tensor([0, 1, 2, 0])
Y = torch.zeros(4, 3, dtype=torch.float64)


def flat() -> nn.Module:
    return nn.Sequential(network(), nn.Flatten(0))


Case = tuple[dict[str, Any], type[Exception], str]

TARGETS: list[Case] = [
    ({"loss": nn.MSELoss(), "y": Y[:, 0]}, ValueError, r"shape \(4, 3\), got \(4,\)"),
    ({"loss": nn.MSELoss(), "y": Y[:, :1]}, ValueError, r"shape \(4, 3\), got \(4, 1\)"),
    ({"loss": nn.HuberLoss(), "y": Y[:1]}, ValueError, r"shape \(4, 3\), got \(1, 3\)"),
    ({"loss": nn.BCEWithLogitsLoss(), "y": Y[:, 0]}, ValueError, r"\(4, 3\), got \(4,\)"),
    ({"loss": nn.BCEWithLogitsLoss(), "y": Y.long()}, TypeError, "float64, got torch.int64: y.flo"),
    ({"loss": nn.MSELoss(), "y": Y.bool()}, TypeError, "targets in torch.float64, got torch.bool"),
    ({"y": IDS.double()}, TypeError, r"class ids in torch.int64, got torch.float64: y.long\(\)"),
    ({"y": IDS.int()}, TypeError, "expected class ids in torch.int64, got torch.int32"),
    ({"y": IDS[:, None]}, ValueError, r"class ids of shape \(4,\), got \(4, 1\)"),
    ({"y": IDS[:, None].double()}, ValueError, r"class probabilities .* \(4, 3\), got \(4, 1\)"),
    ({"y": IDS[:3]}, ValueError, r"class ids of shape \(4,\), got \(3,\)"),
    ({"y": torch.tensor([0, 1, 3, 0])}, ValueError, "expected class ids from 0 to 2, got 3"),
    ({"y": torch.tensor([0, 1, -1, 0])}, ValueError, "expected class ids from 0 to 2, got -1"),
    ({"loss": nn.NLLLoss(), "y": IDS + 1}, ValueError, "class ids from 0 to 2, got 3"),
    ({"model": flat}, ValueError, r"logits of shape \(n, k\), got \(12,\)"),
]

BATCHES: list[Case] = [
    (
        {"X": X.float()},
        TypeError,
        "X in torch.float64, as the .* parameters are, got torch.float32",
    ),
    ({"loader": [{"X": X, "y": IDS}]}, TypeError, r"expected batches \(X, y\), got dict"),
    ({"loader": [X]}, TypeError, r"expected batches \(X, y\), got Tensor"),
    ({"loader": [(X, IDS, IDS)]}, TypeError, r"expected batches \(X, y\), got tuple of 3"),
    ({"loader": []}, ValueError, "at least one batch .*, got none"),
    ({"loss": nn.MSELoss(reduction="sum")}, ValueError, "reduction=\"mean\", got 'sum'"),
    ({"loss": nn.CrossEntropyLoss}, TypeError, r"a loss such as nn.MSELoss\(\), got <class"),
    ({"device": "tpu"}, ValueError, "device 'tpu'"),
    ({"amp": "fp8"}, ValueError, "expected amp to be 'bf16', 'fp16' or None, got 'fp8'"),
]

OPTIONS: list[Case] = [
    ({"epochs": 0}, ValueError, "expected epochs of at least 1, got 0"),
    ({"epochs": 1.5}, TypeError, r"expected epochs to be a whole number, got 1\.5"),
    ({"accumulate": 0}, ValueError, "expected accumulate of at least 1, got 0"),
    ({"max_norm": 0}, ValueError, "expected max_norm to be above 0, got 0"),
    ({"max_norm": -1.0}, ValueError, r"expected max_norm to be above 0, got -1\.0"),
    ({"max_norm": float("nan")}, ValueError, "expected max_norm to be above 0, got nan"),
    ({"patience": 2}, ValueError, "expected validation examples to go with patience, got none"),
    ({"patience": 0, "validation": [(X, IDS)]}, ValueError, "patience of at least 1, got 0"),
    ({"optimizer": sgd(network())}, ValueError, "change other parameters than the model's: exp"),
    (
        {"schedule": StepLR(sgd(network()), 1)},
        ValueError,
        "the schedule would change another optimizer's rate: expected .*, got",
    ),
    ({"schedule": ReduceLROnPlateau}, ValueError, "validation examples to go with ReduceLROnPlat"),
    ({"loader": iter([(X, IDS)])}, TypeError, "loader to be read anew .*, got list_iterator"),
    ({"validation": iter([(X, IDS)])}, TypeError, "expected validation to be read anew"),
    ({"validation": []}, ValueError, "at least one batch .*, got none"),
    ({"validation": [(X, IDS + 1)]}, ValueError, "expected class ids from 0 to 2, got 3"),
    ({"validation": [(X.float(), IDS)]}, TypeError, "expected X in torch.float64"),
    ({"loader": [(X[:0], IDS[:0])]}, ValueError, "at least one example in a batch, got none"),
    ({"compile": "fastest"}, RuntimeError, "Unrecognized mode=fastest, should be one of: default"),
]


def told(cases: list[Case]) -> list[str]:
    return [message for *_, message in cases]


def given(change: dict[str, Any]) -> dict[str, Any]:
    """Make the arguments of a sound run, but for the change."""
    parts: dict[str, Any] = {"model": network, "loss": CLASSES, "X": X, "y": IDS} | change
    parts["model"] = parts["model"]()
    pair = (parts.pop("X"), parts.pop("y"))
    return {"loader": [pair], "device": DEVICE, **parts}


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    TARGETS + BATCHES + OPTIONS,
    ids=told(TARGETS + BATCHES + OPTIONS),
)
def test_a_run_that_would_go_wrong_is_refused_before_anything_is_learned(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = given(change)
    model, history = arguments["model"], History()
    optimizer = arguments.setdefault("optimizer", sgd(model, momentum=0.9))
    if arguments.get("schedule") is ReduceLROnPlateau:
        arguments["schedule"] = ReduceLROnPlateau(optimizer)
    before = vector(model)
    with pytest.raises(error, match=message):
        fit(**{"epochs": 1, **arguments}, history=history)
    assert torch.equal(vector(model), before)
    assert all(p.grad is None for p in model.parameters())
    assert not optimizer.state
    assert len(history) == 0


@pytest.mark.parametrize(
    ("change", "error", "message"), TARGETS + BATCHES, ids=told(TARGETS + BATCHES)
)
def test_what_cannot_be_measured_is_refused_too(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate(**given(change))


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (nn.CrossEntropyLoss(), torch.tensor([0, -100, 2, 0])),  # left out
        (nn.CrossEntropyLoss(ignore_index=9), torch.tensor([0, 9, 2, 0])),
        (nn.CrossEntropyLoss(), IDS.byte()),
        (nn.CrossEntropyLoss(label_smoothing=0.1), torch.full((4, 3), 1 / 3).double()),
        (nn.CrossEntropyLoss(torch.ones(3).double()), IDS),
        (nn.MSELoss(), Y.float()),
    ],
    ids=["ignored", "ignored 9", "bytes", "probabilities", "weights", "single precision"],
)
def test_what_the_loss_can_take_is_not_refused(loss: nn.Module, y: torch.Tensor) -> None:
    model = network()
    before = vector(model)
    fit(model, loss, sgd(model), [(X + 1, y)], epochs=1, device=DEVICE)
    assert not torch.equal(vector(model), before)


def test_an_error_of_the_network_itself_is_left_as_it_is() -> None:
    X, y = batches(4)[0]
    model = network()
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        fit(model, CLASSES, sgd(model), [(X[:, :2], y)], epochs=1, device=DEVICE)
