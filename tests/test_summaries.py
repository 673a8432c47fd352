from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from dlbook.pytorch.models import MLP, ConvNet, ResNet
from dlbook.pytorch.randomness import generators_state, set_generators_state
from dlbook.pytorch.summaries import count_parameters, summary
from tests.on_device import DEVICE


class Tied(nn.Module):
    """A small language model: the embedding's numbers score the words again."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.norm = nn.BatchNorm1d(4)
        self.scores = nn.Linear(4, 7)
        self.scores.weight = self.embedding.weight
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, words: Tensor) -> Tensor:
        scores: Tensor = self.scores(self.norm(self.embedding(words)))
        return scores * self.scale.mean()


class Restless(nn.Module):
    """A network that counts its calls and draws numbers, in evaluation mode too."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.layers = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.dropout = nn.Dropout()

    def forward(self, X: Tensor) -> Tensor:
        self.calls += 1
        noise = torch.rand(1, device=X.device) + float(np.random.random())  # noqa: NPY002  # what is under test
        A: Tensor = self.dropout(self.layers(X))
        return A + noise


def draws() -> list[Any]:
    """Draw from global generators, that of the device included."""
    drawn = (torch.rand(3, device=device).tolist() for device in (None, DEVICE))
    return [*drawn, np.random.random()]  # noqa: NPY002  # the global one


def test_parameters_are_counted_once_however_often_they_are_used() -> None:
    assert count_parameters(MLP([64, 32, 10])) == 64 * 32 + 32 + 32 * 10 + 10
    assert count_parameters(Tied()) == 7 * 4 + 2 * 4 + 7 + 3
    shared = nn.Linear(3, 3)
    assert count_parameters(nn.Sequential(shared, nn.ReLU(), shared)) == 12


def test_frozen_parameters_are_left_out_where_that_is_asked() -> None:
    model = MLP([64, 32, 10])
    model.layers[0].requires_grad_(False)
    assert count_parameters(model, trainable_only=True) == 330
    assert count_parameters(model) == 2410


def test_each_layer_is_listed_with_its_shape_and_its_parameters() -> None:
    found = summary(ConvNet(1, 10, normalization="batch").to(DEVICE), (5, 1, 8, 8))
    assert [(row.name, row.kind, row.shape, row.parameters) for row in found.layers] == [
        ("layers.0", "Conv2d", (5, 16, 8, 8), 144),
        ("layers.1", "BatchNorm2d", (5, 16, 8, 8), 32),
        ("layers.2", "ReLU", (5, 16, 8, 8), 0),
        ("layers.3", "MaxPool2d", (5, 16, 4, 4), 0),
        ("layers.4", "Conv2d", (5, 32, 4, 4), 4608),
        ("layers.5", "BatchNorm2d", (5, 32, 4, 4), 64),
        ("layers.6", "ReLU", (5, 32, 4, 4), 0),
        ("layers.7", "MaxPool2d", (5, 32, 2, 2), 0),
        ("layers.8", "AdaptiveAvgPool2d", (5, 32, 1, 1), 0),
        ("layers.9", "Flatten", (5, 32), 0),
        ("layers.10", "Linear", (5, 10), 330),
    ]
    assert found.title == "ConvNet"


@pytest.mark.filterwarnings("ignore:RNN module weights are not part of:UserWarning")  # of a copy
@pytest.mark.parametrize(
    ("model", "example"),
    [
        (MLP([4, 3, 2]), (1, 4)),
        (ResNet(1, 10), (1, 1, 8, 8)),
        (Tied(), torch.tensor([3, 1])),
        (nn.TransformerEncoderLayer(8, 2, 16), (3, 1, 8)),
        (nn.LSTM(3, 4, num_layers=2), (5, 3)),
        (nn.Flatten(), (2, 3)),
    ],
)
def test_the_total_is_what_pytorch_holds(model: nn.Module, example: Any) -> None:
    model.requires_grad_(True)
    for parameter in list(model.parameters())[:1]:
        parameter.requires_grad_(False)
    there = example.to(DEVICE) if isinstance(example, Tensor) else example
    found = summary(model.to(DEVICE), there)
    assert found.parameters == sum(p.numel() for p in set(model.parameters()))
    assert found.trainable == sum(p.numel() for p in set(model.parameters()) if p.requires_grad)


def test_tied_weights_stand_where_they_come_first_and_later_by_that_word() -> None:
    rows = {row.name: row for row in summary(Tied(), torch.tensor([3, 1])).layers}
    assert (rows["embedding"].parameters, rows["embedding"].tied) == (28, False)
    assert (rows["scores"].parameters, rows["scores"].tied) == (7, True)
    assert rows["scores"].cells()[3] == "7 + tied"
    assert rows[""].cells() == ("(itself)", "Tied", "(2, 7)", "3", "yes")
    lonely = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    lonely[1].weight = lonely[0].weight
    assert summary(lonely, (1, 2)).layers[1].cells()[3:] == ("tied", "")


def test_the_first_tensor_of_what_a_layer_puts_out_gives_the_shape() -> None:
    assert summary(nn.LSTM(3, 4), (5, 3)).layers[0].shape == (5, 4)


def test_a_layer_that_is_not_called_has_no_shape() -> None:
    class Spare(MLP):
        def __init__(self) -> None:
            super().__init__([2, 2])
            self.spare = nn.Linear(3, 3)

    row = summary(Spare(), (1, 2)).layers[1]
    assert (row.name, row.shape, row.parameters, row.cells()[2]) == ("spare", None, 12, "")


def test_frozen_layers_are_told_and_those_that_are_so_in_part() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU())
    model[0].requires_grad_(False)
    model[1].bias.requires_grad_(False)
    found = summary(model, (1, 2))
    assert [row.cells()[4] for row in found.layers] == ["no", "partly", "yes", ""]
    assert found.trainable == 4 + 6


def test_the_network_and_all_generators_stay_as_they_were() -> None:
    model = Restless().to(DEVICE).train()
    model.layers[2].eval()
    loss: Any = model(torch.ones(3, 2, device=DEVICE)).sum()
    loss.backward()
    state = copy.deepcopy(model.state_dict())
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    modes = [module.training for module in model.modules()]
    generators = generators_state()
    expected = draws()
    set_generators_state(generators)
    X = -torch.ones(3, 2, device=DEVICE)

    summary(model, X)

    assert (X == -1).all(), "a layer that works in place changed the batch"
    assert draws() == expected
    assert [module.training for module in model.modules()] == modes
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        assert p.grad is not None
        assert torch.equal(p.grad, gradient)
    assert not any(module._forward_hooks for module in model.modules())


def test_one_example_is_enough_for_a_network_in_training_that_normalizes_over_the_batch() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3)).train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model(torch.zeros(1, 3))
    assert summary(model, (1, 3)).layers[0].shape == (1, 3)


def test_generators_are_restored_when_the_network_fails_too() -> None:
    class Failing(nn.Module):
        def forward(self, X: Tensor) -> Tensor:
            raise ArithmeticError(draws())

    generators = generators_state()
    expected = draws()
    set_generators_state(generators)
    with pytest.raises(ArithmeticError):
        summary(Failing(), torch.ones(1, 1, device=DEVICE))
    assert draws() == expected


def test_a_shape_becomes_zeros_of_the_parameters_dtype() -> None:
    assert summary(MLP([3, 2]).double(), (4, 3)).layers[0].shape == (4, 2)
    assert summary(MLP([3, 2]).to("meta"), torch.Size([4, 3])).layers[0].shape == (4, 2)


@pytest.mark.parametrize(
    ("example", "error", "told"),
    [
        (np.zeros((1, 3)), TypeError, r"expected a tensor or a shape such as \(1, 64\), got array"),
        ((1.0, 3), TypeError, r"got \(1\.0, 3\)"),
        (5, TypeError, "got 5"),
        ((), ValueError, r"lengths of at least 1, got \(\)"),
        ((0, 3), ValueError, r"got \(0, 3\)"),
    ],
)
def test_what_is_no_example_is_refused(example: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        summary(MLP([3, 2]), example)


def test_print_rich_and_notebooks_show_the_same_table() -> None:
    found = summary(MLP([64, 32, 10]), (1, 64))
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as shown:
        console.print(found)
    stripped = [line.rstrip() for line in shown.get().splitlines()]
    assert stripped == str(found).splitlines()
    bundle = found._repr_mimebundle_([], [])
    for text in (str(found), bundle["text/plain"], bundle["text/html"]):
        for cell in ("MLP", "output shape", "layers.2", "Linear", "(1, 10)", "330", "2,410"):
            assert cell in text
