from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from dlbook.data import load_digits
from dlbook.metrics import accuracy, predicted_classes
from dlbook.pytorch.models import MLP, ConvNet, ResidualBlock, ResNet
from tests.on_device import DEVICE


def test_layers_and_activations_alternate_and_end_in_logits() -> None:
    kinds = [type(layer) for layer in MLP([4, 8, 8, 3], activation="tanh").layers]
    assert kinds == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert MLP([4, 3]).to(DEVICE)(torch.zeros(5, 4, device=DEVICE)).shape == (5, 3)


@pytest.mark.parametrize(
    ("activation", "variance"),
    [
        *((kin, 2 / 400) for kin in ("relu", "leaky_relu", "elu", "gelu", "silu")),
        ("sigmoid", 2 / 900),
        ("tanh", 2 / 900),
    ],
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
    X = torch.randn(100, 256, generator=generator).to(DEVICE)
    with torch.no_grad():
        kept = MLP([256] * 31, generator=generator).to(DEVICE)(X)
    assert 0.2 < kept.std().item() / X.std().item() < 5
    default = nn.Sequential(*(nn.Sequential(nn.Linear(256, 256), nn.ReLU()) for _ in range(30)))
    default.to(DEVICE)
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
        (
            [4, 2],
            {"activation": "rleu"},
            "no activation 'rleu': there are relu, leaky_relu, elu, gelu, silu, sigmoid, tanh",
        ),
    ],
)
def test_a_network_that_cannot_be_built_says_why(
    sizes: list[int], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        MLP(sizes, **options)


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def digits(n: int = 5) -> torch.Tensor:
    return torch.randn(n, 1, 8, 8, generator=seeded(9)).to(DEVICE)


def pictures(n: int = 3) -> torch.Tensor:
    return torch.randn(n, 3, 32, 32, generator=seeded(9)).to(DEVICE)


def test_a_convolutional_network_has_the_parameters_counted_by_hand() -> None:
    first = 16 * (1 * 9 + 1)
    second = 32 * (16 * 9 + 1)
    head = 10 * (32 + 1)
    assert size(ConvNet(1, 10)) == first + second + head == 5130
    normalized = 16 * 9 + 2 * 16 + 32 * 16 * 9 + 2 * 32 + head
    assert size(ConvNet(1, 10, normalization="batch")) == normalized == 5178
    assert size(ConvNet(3, 4, widths=[2])) == 2 * (3 * 9 + 1) + 4 * (2 + 1) == 68


def test_a_residual_network_has_the_parameters_counted_by_hand() -> None:
    """The network of 20 layers for pictures of 32 × 32, whose authors count 0.27 million."""
    stem = 3 * 16 * 9 + 2 * 16
    stages = [6 * (c * c * 9 + 2 * c) for c in (16, 32, 64)]
    halved = [(a * b - b * b) * 9 for a, b in ((16, 32), (32, 64))]  # its input is narrower
    shortcuts = [a * b + 2 * b for a, b in ((16, 32), (32, 64))]
    head = 64 * 10 + 10
    by_hand = stem + sum(stages) + sum(halved) + sum(shortcuts) + head
    assert size(ResNet(3, 10, blocks=3)) == by_hand == 272_474
    convolutions = [m for m in ResNet(3, 10, blocks=3).modules() if isinstance(m, nn.Conv2d)]
    assert sum(m.kernel_size == (3, 3) for m in convolutions) + 1 == 20, "and the linear layer"


def test_a_residual_network_without_normalization_has_biases_instead() -> None:
    block = ResidualBlock(4, 6, normalization=None)
    assert size(block) == 6 * (4 * 9 + 1) + 6 * (6 * 9 + 1) + 6 * (4 + 1)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in block.modules())


@pytest.mark.parametrize("normalization", [None, "batch"])
@pytest.mark.parametrize("make", [ConvNet, ResNet])
def test_images_of_both_sizes_become_one_row_of_logits_each(make: Any, normalization: Any) -> None:
    options = {"normalization": normalization, "generator": seeded()}
    assert make(1, 10, **options).to(DEVICE)(digits()).shape == (5, 10)
    assert make(3, 7, **options).to(DEVICE)(pictures()).shape == (3, 7)


def test_a_convolutional_network_is_the_chain_that_its_docstring_tells() -> None:
    model = ConvNet(1, 3, widths=(4, 6), normalization="batch", generator=seeded())
    model.to(DEVICE).eval()
    first, second = (m for m in model.modules() if isinstance(m, nn.Conv2d))
    linear = model.layers[-1]
    assert isinstance(linear, nn.Linear)
    A = digits()
    for convolution in (first, second):
        Z = nn.functional.conv2d(A, convolution.weight, padding=1) / (1 + 1e-5) ** 0.5
        n, c, h, w = Z.shape
        A = Z.clamp(min=0).reshape(n, c, h // 2, 2, w // 2, 2).amax(dim=(3, 5))
    logits = A.mean(dim=(2, 3)) @ linear.weight.T + linear.bias
    torch.testing.assert_close(model(digits()), logits)


def test_a_residual_block_adds_its_branch_to_its_input() -> None:
    block = ResidualBlock(3, 3, normalization=None, generator=seeded()).to(DEVICE)
    first, _, second = block.branch
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    X = pictures()
    A = nn.functional.conv2d(X, first.weight, padding=1).clamp(min=0)
    Y = (X + nn.functional.conv2d(A, second.weight, padding=1)).clamp(min=0)
    torch.testing.assert_close(block(X), Y)


@pytest.mark.parametrize("normalization", [None, "batch"])
def test_a_block_whose_branch_starts_at_zero_leads_its_input_on(normalization: Any) -> None:
    options: Any = {"normalization": normalization, "generator": seeded()}
    X = pictures()
    assert torch.equal(ResidualBlock(3, 3, zero_last=True, **options).to(DEVICE)(X), X.relu())
    assert not torch.equal(ResidualBlock(3, 3, **options).to(DEVICE)(X), X.relu())
    for block in ResNet(3, 10, zero_last=True, **options).to(DEVICE).blocks:
        assert isinstance(block, ResidualBlock)
        first = block.branch[0]
        assert isinstance(first, nn.Conv2d)
        A = torch.randn(2, first.in_channels, 4, 4, generator=seeded()).to(DEVICE)
        assert not block.branch(A).any()


def test_zero_branches_keep_the_signal_and_still_learn_where_nothing_normalizes() -> None:
    def spread(zero_last: bool) -> float:
        model = ResNet(3, 10, blocks=9, normalization=None, zero_last=zero_last, generator=seeded())
        return float(model.to(DEVICE)(pictures()).detach().std())

    assert spread(zero_last=True) < 10 < 1000 < spread(zero_last=False)
    model = ResNet(1, 10, normalization=None, zero_last=True, generator=seeded()).to(DEVICE)
    loss: Any = nn.functional.cross_entropy(model(digits()), torch.arange(5, device=DEVICE))
    loss.backward()
    for block in model.blocks:
        assert isinstance(block, ResidualBlock)
        assert block.branch[-1].get_parameter("weight").grad.any()  # type: ignore[union-attr]  # it has one


def test_only_the_first_block_of_a_later_stage_halves_the_image() -> None:
    X, shapes = pictures(1), []
    model = ResNet(3, 10, widths=(4, 6, 8), blocks=2).to(DEVICE)
    A = model.stem(X)
    for block in model.blocks:
        A = block(A)
        shapes.append(tuple(A.shape[1:]))
    assert shapes == [(4, 32, 32)] * 2 + [(6, 16, 16)] * 2 + [(8, 8, 8)] * 2
    identities = [
        isinstance(block.shortcut, nn.Identity)
        for block in model.blocks
        if isinstance(block, ResidualBlock)
    ]
    assert identities == [True, True, False, True, False, True]


@pytest.mark.parametrize("make", [ConvNet, ResNet])
def test_filters_start_from_he_and_biases_from_zero(make: Any) -> None:
    model = make(3, 200, widths=(64, 96), normalization=None, generator=seeded())
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            d_in = module.weight[0].numel()
            assert module.weight.var().item() * d_in == pytest.approx(2, rel=0.12)
            assert not module.bias.any()  # type: ignore[union-attr]  # it has one


@pytest.mark.parametrize("make", [ConvNet, ResNet, lambda *c, **k: ResidualBlock(1, 4, **k)])
def test_the_generator_alone_decides_filters_and_weights(make: Any) -> None:
    def weights(seed: int) -> torch.Tensor:
        return nn.utils.parameters_to_vector(make(1, 10, generator=seeded(seed)).parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("make", [ConvNet, ResNet])
@pytest.mark.parametrize(
    ("channels", "classes", "options", "message"),
    [
        (0, 10, {}, "at least 1 and at least one width, got channels=0"),
        (1, 0, {}, "classes=0"),
        (1, 10, {"widths": []}, r"widths=\[\]"),
        (1, 10, {"widths": [8, 0]}, r"widths=\[8, 0\]"),
        (
            1,
            10,
            {"normalization": "layer"},
            "expected normalization \"batch\" or None, got 'layer'",
        ),
    ],
)
def test_a_network_for_images_that_cannot_be_built_says_why(
    make: Any, channels: int, classes: int, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(channels, classes, **options)
    with pytest.raises(ValueError, match="blocks=0"):
        ResNet(1, 10, blocks=0)


@pytest.mark.parametrize(
    ("model", "X", "least"),
    [
        (ConvNet(1, 10), torch.zeros(8, 8), 4),
        (ConvNet(1, 10), torch.zeros(1, 8, 8), 4),
        (ConvNet(1, 10), torch.zeros(5, 64), 4),
        (ConvNet(1, 10), torch.zeros(5, 1, 64), 4),
        (ConvNet(1, 10), torch.zeros(5, 1, 8, 8, 8), 4),
        (ConvNet(1, 10), torch.zeros(5, 3, 8, 8), 4),
        (ConvNet(1, 10), torch.zeros(5, 1, 8, 3), 4),
        (ResNet(1, 10), torch.zeros(1, 8, 8), 1),
        (ResNet(1, 10), torch.zeros(5, 8, 8, 1), 1),
    ],
)
def test_what_is_no_batch_of_such_images_is_refused(
    model: nn.Module, X: torch.Tensor, least: int
) -> None:
    told = re.escape(f"shape (n, 1, h, w) with h and w of at least {least}, got {tuple(X.shape)}")
    with pytest.raises(ValueError, match=told):
        model.to(DEVICE)(X.to(DEVICE))


@pytest.mark.parametrize("make", [ConvNet, ResNet])
def test_the_smallest_image_is_taken(make: Any) -> None:
    model = make(1, 3).to(DEVICE).eval()
    least = 4 if make is ConvNet else 1
    assert model(torch.zeros(2, 1, least, least, device=DEVICE)).shape == (2, 3)


@pytest.mark.parametrize("normalization", [None, "batch"])
@pytest.mark.parametrize("make", [ConvNet, partial(ResNet, widths=(8, 16))])
def test_networks_for_images_learn_digits(make: Any, normalization: Any) -> None:
    splits = load_digits(rng=np.random.default_rng(0))
    X, X_test = (torch.tensor(part.X).reshape(-1, 1, 8, 8) for part in (splits.train, splits.test))
    y, generator = torch.tensor(splits.train.y), seeded()
    model = make(1, 10, normalization=normalization, generator=generator).to(DEVICE)
    adam = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(10):
        for rows in DataLoader(range(len(X)), 64, shuffle=True, generator=generator):  # type: ignore[arg-type]  # row numbers
            adam.zero_grad()
            loss: Any = nn.functional.cross_entropy(model(X[rows].to(DEVICE)), y[rows].to(DEVICE))
            loss.backward()
            adam.step()
    with torch.no_grad():
        logits = model.eval()(X_test.to(DEVICE)).cpu().numpy()
    assert accuracy(predicted_classes(logits), splits.test.y) > 0.9
