from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dlbook.pytorch import MLP


def test_layers_and_activations_alternate_and_end_in_logits() -> None:
    kinds = [type(layer) for layer in MLP([4, 8, 8, 3], activation="tanh").layers]
    assert kinds == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert MLP([4, 3])(torch.zeros(5, 4)).shape == (5, 3)


@pytest.mark.parametrize(
    ("activation", "variance"), [("relu", 2 / 400), ("sigmoid", 2 / 900), ("tanh", 2 / 900)]
)
def test_weights_start_from_he_or_glorot_and_biases_from_zero(
    activation: str, variance: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    first = MLP([400, 500, 10], activation=activation, generator=generator).layers[0]
    assert isinstance(first, nn.Linear)
    assert first.weight.var().item() == pytest.approx(variance, rel=0.02)
    assert not first.bias.any()


def test_he_keeps_the_signal_alive_through_thirty_relu_layers() -> None:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(100, 256, generator=generator)
    with torch.no_grad():
        kept = MLP([256] * 31, generator=generator)(X)
    assert 0.2 < kept.std().item() / X.std().item() < 5
    default = nn.Sequential(*(nn.Sequential(nn.Linear(256, 256), nn.ReLU()) for _ in range(30)))
    with torch.no_grad():
        assert (default(X) - default(X).mean(dim=0)).std() < 1e-6, "PyTorch's default lets it fade"


def test_the_generator_decides_the_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        model = MLP([3, 4, 2], generator=torch.Generator().manual_seed(seed))
        return nn.utils.parameters_to_vector(model.parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ([4], {}, r"two or more sizes of at least 1, got \[4\]"),
        ([4, 0, 2], {}, r"got \[4, 0, 2\]"),
        ([4, 2], {"activation": "rleu"}, "no activation 'rleu': there are relu, sigmoid, tanh"),
    ],
)
def test_a_network_that_cannot_be_built_says_why(
    sizes: list[int], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        MLP(sizes, **options)
