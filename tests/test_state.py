from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from dlbook.scratch import layers
from dlbook.scratch.layers import Layer, Sequential, mlp
from dlbook.scratch.state import load_state, save_state


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ours(seed: int = 0, dtype: Any = np.float64) -> Sequential:
    """Make a network that holds every layer with parameters."""
    options: Any = {"rng": rng(seed), "dtype": dtype}
    return Sequential(
        layers.Conv2d(2, 3, 3, stride=2, padding=1, **options),
        layers.BatchNorm2d(3, dtype=dtype),
        layers.LeakyReLU(0.2),
        layers.MaxPool2d(2),
        layers.Flatten(),
        Sequential(layers.Linear(12, 5, **options), layers.BatchNorm1d(5, dtype=dtype)),
        layers.GELU(),
        layers.LayerNorm(5, dtype=dtype),
        layers.Dropout(0.5, rng=rng()),
        layers.Linear(5, 4, **options),
    )


def theirs() -> nn.Sequential:
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
    ).double()


def images(seed: int = 0) -> np.ndarray:
    return rng(seed).normal(size=(6, 2, 8, 9))


def trained(model: Sequential) -> Sequential:
    """Let running statistics and all parameters leave where they start."""
    for step in range(3):
        model.forward(3 + images(step), training=True)
    for w in model.parameters:
        w += rng(w.size).normal(size=w.shape)
    return model


def hold_state(model: Layer, state: dict[str, np.ndarray]) -> None:
    for name, array in model.state_dict().items():
        assert_array_equal(array, state[name])


def test_keys_shapes_and_dtypes_are_those_of_pytorch_in_its_order() -> None:
    told = {k: (v.shape, str(v.dtype)) for k, v in ours().state_dict().items()}
    wanted = {
        k: (tuple(v.shape), str(v.dtype).removeprefix("torch."))
        for k, v in theirs().state_dict().items()
    }
    assert list(told.items()) == list(wanted.items())
    assert told["5.0.weight"] == ((5, 12), "float64")
    assert told["1.num_batches_tracked"] == ((), "int64")


def test_what_is_learned_here_gives_the_same_logits_in_pytorch() -> None:
    model, net = trained(ours()), theirs()
    net.load_state_dict({k: torch.tensor(v) for k, v in model.state_dict().items()})
    X = images(9)
    logits = net.eval()(torch.tensor(X)).detach().numpy()
    assert_allclose(model.forward(X), logits, rtol=1e-10, atol=1e-12)


def test_what_is_learned_in_pytorch_gives_the_same_logits_here() -> None:
    net, model = theirs(), ours()
    torch.manual_seed(0)
    for step in range(3):
        net(torch.tensor(2 + images(step)))
    model.load_state_dict(net.state_dict())
    X = images(9)
    logits = net.eval()(torch.tensor(X)).detach().numpy()
    assert_allclose(model.forward(X), logits, rtol=1e-10, atol=1e-12)
    assert model.state_dict()["1.num_batches_tracked"] == 3


def test_a_state_is_a_copy_and_stays_when_the_network_goes_on() -> None:
    model = ours()
    state = model.state_dict()
    kept = {name: array.copy() for name, array in state.items()}
    trained(model)
    for name, array in kept.items():
        assert_array_equal(state[name], array)
        assert (model.state_dict()[name] != array).any(), name


def test_loading_fills_the_arrays_that_an_optimizer_holds() -> None:
    model = ours()
    held = model.parameters
    model.load_state_dict(trained(ours(1)).state_dict())
    assert all(w is h for w, h in zip(model.parameters, held, strict=True))
    assert model.buffers[0] is model.layers[1].buffers[0]


def test_a_file_brings_everything_back(tmp_path: Path) -> None:
    model = trained(ours())
    save_state(model, tmp_path / "model.npz")
    loaded = ours(seed=1)
    load_state(loaded, tmp_path / "model.npz")
    hold_state(loaded, model.state_dict())
    assert_array_equal(loaded.forward(images()), model.forward(images()))
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


def test_a_file_opens_without_pickle_and_in_pytorch(tmp_path: Path) -> None:
    save_state(trained(ours()), tmp_path / "model.npz")
    arrays = np.load(tmp_path / "model.npz", allow_pickle=False)
    theirs().load_state_dict({k: torch.tensor(v) for k, v in arrays.items()})


def test_the_same_network_makes_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_state(trained(ours()), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_interrupted_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.npz"
    save_state(ours(), path)
    before = path.read_bytes()

    def interrupted(self: Path, target: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_state(trained(ours()), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_every_damage_is_told_or_harmless(tmp_path: Path) -> None:
    """Flip bytes and cut the file: it is refused, or holds the same numbers still."""
    path = tmp_path / "model.npz"
    save_state(mlp([2, 3], rng=rng()), path)
    content, state = path.read_bytes(), mlp([2, 3], rng=rng()).state_dict()
    untouched = mlp([2, 3], rng=rng(1)).state_dict()
    damaged = [
        bytes([*content[:i], content[i] ^ 0xFF, *content[i + 1 :]])
        for i in range(0, len(content), 3)
    ]
    damaged += [content[:length] for length in range(0, len(content), 7)]
    refused = 0
    for spoiled in damaged:
        path.write_bytes(spoiled)
        model = mlp([2, 3], rng=rng(1))
        told = complaint(model, path)
        hold_state(model, untouched if told else state)
        refused += str(path) in told
    assert refused > len(damaged) / 2


def complaint(model: Layer, path: Path) -> str:
    try:
        load_state(model, path)
    except ValueError as error:
        return str(error)
    return ""


def foreign(path: Path) -> None:
    path.write_text("epoch,loss\n1,0.5\n")


def pickled(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=True, weight=np.array([{}], dtype=object))


def single(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize("write", [foreign, pickled, single, Path.touch])
def test_a_foreign_file_is_told(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"model.npz is damaged or not an .npz file of arrays: "):
        load_state(mlp([2, 3], rng=rng()), tmp_path / "model.npz")


def test_no_file_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_state(mlp([2, 3], rng=rng()), tmp_path / "model.npz")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"0.bias": None}, "0.bias is missing"),
        ({"9.bias": np.zeros(3)}, "9.bias is not of this network"),
        ({"0.weight": np.zeros((2, 3))}, r"expected 0.weight of shape \(3, 2\), got \(2, 3\)"),
        ({"0.weight": np.zeros((3, 2), int)}, "expected 0.weight in float64, got int64"),
        ({"0.bias": None, "1": np.zeros(1)}, "0.bias is missing; 1 is not of this network"),
    ],
)
def test_a_state_that_does_not_fit_is_told_whole_and_changes_nothing(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    model = mlp([2, 3], rng=rng(), dtype=np.float64)
    before = model.state_dict()
    other = {**mlp([2, 3], rng=rng(1), dtype=np.float64).state_dict(), **change}
    state = {name: array for name, array in other.items() if array is not None}
    with pytest.raises(ValueError, match=f"^the state does not fit: {told}$"):
        model.load_state_dict(state)
    np.savez(tmp_path / "model.npz", **state)
    with pytest.raises(ValueError, match=f"model.npz: the state does not fit: {told}$"):
        load_state(model, tmp_path / "model.npz")
    hold_state(model, before)


def test_a_state_that_is_no_mapping_is_told() -> None:
    state: Any = [np.zeros(3)]
    with pytest.raises(TypeError, match="expected the state as a dict of arrays by name, got list"):
        mlp([2, 3], rng=rng()).load_state_dict(state)
