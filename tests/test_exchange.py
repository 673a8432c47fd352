from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from dlbook.pytorch.exchange import load_arrays, save_arrays
from dlbook.pytorch.models import MLP, ConvNet, ResNet
from dlbook.scratch import layers
from dlbook.scratch.layers import ACTIVATIONS, Sequential, mlp
from dlbook.scratch.state import load_state, save_state
from tests.on_device import DEVICE

SIZES = [5, 7, 6, 3]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def by_hand(seed: int = 0) -> Sequential:
    """Make a network that holds every kind of layer with parameters or buffers."""
    options: Any = {"rng": rng(seed), "dtype": np.float64}
    return Sequential(
        layers.Conv2d(2, 3, 3, stride=2, padding=1, **options),
        layers.BatchNorm2d(3, dtype=np.float64),
        layers.LeakyReLU(0.2),
        layers.MaxPool2d(2),
        layers.Flatten(),
        Sequential(layers.Linear(12, 5, **options), layers.BatchNorm1d(5, dtype=np.float64)),
        layers.GELU(),
        layers.LayerNorm(5, dtype=np.float64),
        layers.Dropout(0.5, rng=rng()),
        layers.Linear(5, 4, **options),
    )


def in_pytorch() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1),
        nn.BatchNorm2d(3),
        nn.LeakyReLU(0.2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5)),
        nn.GELU(),
        nn.LayerNorm(5),
        nn.Dropout(0.5),
        nn.Linear(5, 4),
    ).to(DEVICE, torch.float64)


def images(seed: int = 0) -> np.ndarray:
    return rng(seed).normal(size=(6, 2, 8, 9))


def logits(net: nn.Module, X: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        computed: np.ndarray = net.to(DEVICE).eval()(torch.tensor(X, device=DEVICE)).cpu().numpy()
    return computed


def trained_by_hand(seed: int = 0) -> Sequential:
    """Let running statistics and all parameters leave where they start."""
    model = by_hand(seed)
    for step in range(3):
        model.forward(3 + images(step), training=True)
    for w in model.parameters:
        w += rng(w.size).normal(size=w.shape)
    return model


def trained_in_pytorch() -> nn.Sequential:
    net = in_pytorch()
    generator = torch.Generator().manual_seed(1)
    for step in range(3):
        net(torch.tensor(2 + images(step), device=DEVICE))
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn(p.shape, generator=generator, dtype=p.dtype).to(DEVICE))
    return net


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_perceptron_learned_by_hand_gives_the_same_logits_in_pytorch(
    activation: str, tmp_path: Path
) -> None:
    model = mlp(SIZES, rng=rng(), activation=activation, dtype=np.float64)
    for w in model.parameters:
        w += rng(w.size).normal(size=w.shape)
    save_state(model, tmp_path / "model.npz")
    net = MLP(SIZES, activation=activation).double()
    load_arrays(net, tmp_path / "model.npz")
    X = rng(9).normal(size=(20, 5))
    assert_allclose(logits(net, X), model.forward(X), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_perceptron_learned_in_pytorch_gives_the_same_logits_by_hand(
    activation: str, tmp_path: Path
) -> None:
    net = MLP(SIZES, activation=activation).double()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    save_arrays(net, tmp_path / "model.npz")
    model = mlp(SIZES, rng=rng(), activation=activation, dtype=np.float64)
    load_state(model, tmp_path / "model.npz")
    X = rng(9).normal(size=(20, 5))
    assert_allclose(model.forward(X), logits(net, X), rtol=1e-10, atol=1e-10)


def test_a_network_of_every_layer_goes_from_hand_to_pytorch_with_its_logits(tmp_path: Path) -> None:
    model, net = trained_by_hand(), in_pytorch()
    save_state(model, tmp_path / "model.npz")
    load_arrays(net, tmp_path / "model.npz")
    assert_allclose(logits(net, images(9)), model.forward(images(9)), rtol=1e-10, atol=1e-10)
    assert net.get_buffer("1.num_batches_tracked").item() == 3


def test_a_network_of_every_layer_goes_from_pytorch_to_hand_with_its_logits(tmp_path: Path) -> None:
    net, model = trained_in_pytorch(), by_hand()
    save_arrays(net, tmp_path / "model.npz")
    load_state(model, tmp_path / "model.npz")
    assert_allclose(model.forward(images(9)), logits(net, images(9)), rtol=1e-10, atol=1e-10)


def test_a_convolutional_network_is_the_same_layers_by_hand(tmp_path: Path) -> None:
    """On 8 × 8 pixels two stages leave 2 × 2, whose mean is a pooling of that size."""
    options: Any = {"rng": rng(), "dtype": np.float64}
    model = Sequential(
        layers.Conv2d(1, 4, 3, padding=1, **options),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Conv2d(4, 6, 3, padding=1, **options),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.AvgPool2d(2),
        layers.Flatten(),
        layers.Linear(6, 10, **options),
    )
    net = ConvNet(1, 10, widths=(4, 6)).double()
    X = rng(9).normal(size=(5, 1, 8, 8))
    save_state(model, tmp_path / "by_hand.npz")
    load_arrays(net, tmp_path / "by_hand.npz")
    assert_allclose(logits(net, X), model.forward(X), rtol=1e-10, atol=1e-10)
    other = ConvNet(1, 10, widths=(4, 6)).double()
    save_arrays(other, tmp_path / "learned.npz")
    load_state(model, tmp_path / "learned.npz")
    assert_allclose(model.forward(X), logits(other, X), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_there_and_back_again_every_bit_is_the_same(dtype: Any, tmp_path: Path) -> None:
    model = mlp(SIZES, rng=rng(), dtype=dtype)
    net = MLP(SIZES).to(torch.float32 if dtype is np.float32 else torch.float64)
    save_state(model, tmp_path / "first.npz")
    load_arrays(net, tmp_path / "first.npz")
    save_arrays(net, tmp_path / "second.npz")
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


@pytest.mark.parametrize(
    "make", [in_pytorch, lambda: ResNet(1, 10), lambda: ConvNet(1, 10, normalization="batch")]
)
def test_any_network_comes_back_with_every_bit(make: Any, tmp_path: Path) -> None:
    net, other = make(), make()
    for buffer in net.buffers():
        buffer += 3
    save_arrays(net, tmp_path / "model.npz")
    load_arrays(other, tmp_path / "model.npz")
    for name, tensor in net.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_names_have_no_prefix_where_one_sequential_holds_all_and_else_their_own(
    tmp_path: Path,
) -> None:
    class Scaled(MLP):
        """A perceptron with a number of its own, which its ``layers`` do not hold."""

        def __init__(self) -> None:
            super().__init__([2, 3])
            self.scale = nn.Parameter(torch.ones(()))

    nets: list[tuple[nn.Module, list[str]]] = [
        (MLP([2, 3]), ["0.weight", "0.bias"]),
        (nn.Sequential(nn.Sequential(nn.Linear(2, 3))), ["0.0.weight", "0.0.bias"]),
        (Scaled(), ["scale", "layers.0.weight", "layers.0.bias"]),
        (nn.Linear(2, 3), ["weight", "bias"]),
    ]
    for net, names in nets:
        save_arrays(net, tmp_path / "model.npz")
        assert np.load(tmp_path / "model.npz", allow_pickle=False).files == names
        load_arrays(net, tmp_path / "model.npz")


def test_loading_fills_the_parameters_that_an_optimizer_holds(tmp_path: Path) -> None:
    net = MLP([2, 3])
    held = list(net.parameters())
    save_state(mlp([2, 3], rng=rng(4)), tmp_path / "model.npz")
    load_arrays(net, tmp_path / "model.npz")
    assert all(p is h for p, h in zip(net.parameters(), held, strict=True))
    assert all(p.requires_grad for p in held)


def unfit(change: dict[str, Any]) -> dict[str, Any]:
    state = mlp([2, 3], rng=rng(1), dtype=np.float64).state_dict() | change
    return {name: array for name, array in state.items() if array is not None}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"0.bias": None}, "0.bias is missing"),
        ({"9.bias": np.zeros(3)}, "9.bias is not of this network"),
        ({"0.weight": np.zeros((2, 3))}, r"expected 0.weight of shape \(3, 2\), got \(2, 3\)"),
        ({"0.weight": np.zeros((3, 2), "f4")}, "expected 0.weight in float64, got float32"),
        ({"0.bias": np.zeros(3, ">f8")}, "expected 0.bias in float64, got >f8"),
        (
            {"0.bias": None, "1": np.zeros(1), "0.weight": np.zeros((3, 2), int)},
            "0.bias is missing; 1 is not of this network; expected 0.weight in float64, got int64",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_told_whole_and_changes_nothing(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    net = MLP([2, 3]).double()
    before = [p.detach().clone() for p in net.parameters()]
    np.savez(tmp_path / "model.npz", **unfit(change))
    with pytest.raises(ValueError, match=f"model.npz: the state does not fit: {told}$"):
        load_arrays(net, tmp_path / "model.npz")
    for p, kept in zip(net.parameters(), before, strict=True):
        assert torch.equal(p, kept)


def test_every_damage_is_told_or_harmless(tmp_path: Path) -> None:
    """Flip bytes and cut the file: it is refused, or holds the same numbers still."""
    path = tmp_path / "model.npz"
    save_arrays(MLP([2, 3]), path)
    content = path.read_bytes()
    state = {name: np.load(path)[name] for name in ("0.weight", "0.bias")}
    damaged = [
        bytes([*content[:i], content[i] ^ 0xFF, *content[i + 1 :]])
        for i in range(0, len(content), 5)
    ]
    damaged += [content[:length] for length in range(0, len(content), 11)]
    refused = 0
    for spoiled in damaged:
        path.write_bytes(spoiled)
        net = MLP([2, 3], generator=torch.Generator().manual_seed(1))
        kept = {name: tensor.numpy().copy() for name, tensor in net.layers.state_dict().items()}
        told = complaint(net, path)
        refused += str(path) in told
        expected = kept if told else state
        for name, tensor in net.layers.state_dict().items():
            assert_array_equal(tensor.numpy(), expected[name])
    assert refused > len(damaged) / 2


def complaint(net: nn.Module, path: Path) -> str:
    try:
        load_arrays(net, path)
    except ValueError as error:
        return str(error)
    return ""


def test_a_file_with_pickled_objects_is_refused_unopened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    np.savez(tmp_path / "model.npz", weight=np.array([Trap()], dtype=object))
    (tmp_path / "sprung").unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"model.npz is damaged or not an .npz file of arrays"):
        load_arrays(MLP([2, 3]), tmp_path / "model.npz")
    assert not (tmp_path / "sprung").exists()


def test_no_file_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_arrays(MLP([2, 3]), tmp_path / "model.npz")


def test_numbers_that_numpy_does_not_have_are_told_before_a_file_is_touched(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.npz"
    path.write_text("kept")
    told = r"0\.weight is in torch\.bfloat16, which NumPy does not have: use model\.float\(\)"
    with pytest.raises(TypeError, match=told):
        save_arrays(MLP([2, 3]).bfloat16(), path)
    assert path.read_text() == "kept"


def test_a_state_that_is_no_tensor_is_told(tmp_path: Path) -> None:
    class Counted(nn.Linear):
        def get_extra_state(self) -> int:
            return 3

    with pytest.raises(TypeError, match="expected _extra_state to be a tensor, got int"):
        save_arrays(Counted(2, 2), tmp_path / "model.npz")
