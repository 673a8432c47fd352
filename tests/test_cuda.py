"""What a GPU computes is what the CPU computes, within stated tolerances.

Both add the same numbers up in another order. A sum of n products is then off by about √n times
the unit roundoff, relative to the sum of their sizes: in float64 1e-16 · √n, far below 1e-10 also
after the steps of these runs; in float32 6e-8 · √n, some 1e-6 for the sums here, and a few times
more where cuDNN computes a convolution by way of other products. TF32, which would keep 10 bits of
a factor, is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlbook import cli
from dlbook.history import History
from dlbook.pytorch import (
    MLP,
    ConvNet,
    DeviceBatches,
    ResNet,
    describe,
    evaluate,
    fit,
    generators_state,
    load_arrays,
    make_loader,
    predict,
    random_shift,
    save_arrays,
    set_generators_state,
)
from dlbook.pytorch.checkpoints import Checkpoints
from tests.benchmarks import gpu
from tests.on_device import all_bits

if not torch.cuda.is_available():
    pytest.skip("no CUDA device: not run", allow_module_level=True)

CUDA = torch.device("cuda")
CPU = torch.device("cpu")
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4}
HALF = 2**-5  # bfloat16 keeps 8 bits, a product is off by up to 2⁻⁸, a loss by some of them
NETWORKS: dict[str, tuple[Callable[[torch.Generator], nn.Module], tuple[int, ...]]] = {
    "MLP": (lambda g: MLP([20, 32, 16, 5], generator=g), (20,)),
    "ConvNet": (lambda g: ConvNet(3, 5, generator=g), (3, 8, 8)),
    "ConvNet, normalized": (lambda g: ConvNet(3, 5, normalization="batch", generator=g), (3, 8, 8)),
    "ResNet": (lambda g: ResNet(3, 5, generator=g), (3, 8, 8)),
}


compiles = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # of torch.compile's own imports
    "ignore:TensorFloat32 tensor cores:UserWarning",  # its advice to give up the bits kept here
)


@pytest.fixture(autouse=True)
def _whole_float32() -> Iterator[None]:
    with all_bits():
        yield


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_close(on_gpu: Tensor, on_cpu: Tensor, tolerance: float) -> None:
    """Compare relative to the largest number: small ones are differences of large ones."""
    assert on_gpu.device.type == CUDA.type
    distance = (on_gpu.cpu() - on_cpu).abs().max()
    assert distance <= tolerance * on_cpu.abs().max(), f"off by {distance:.2e}"


def examples(n: int, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    X = torch.randn(n, *shape, generator=seeded(1), dtype=dtype)
    return X, torch.randint(5, (n,), generator=seeded(2))


def test_a_gpu_is_described_by_its_name_and_memory() -> None:
    assert describe("cuda").startswith(f"cuda:0: {torch.cuda.get_device_name(0)}, ")


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_the_same_outputs_and_gradients(name: str, dtype: torch.dtype) -> None:
    make, shape = NETWORKS[name]
    X, _ = examples(12, shape, dtype)
    upstream = torch.randn(12, 5, generator=seeded(3), dtype=dtype)
    found: list[list[Tensor]] = []
    for device in (CUDA, CPU):
        model = make(seeded()).to(device, dtype)
        inputs = X.to(device, copy=True).requires_grad_()
        Z = model(inputs)
        gradients = torch.autograd.grad(Z, [inputs, *model.parameters()], upstream.to(device))
        found.append([Z.detach(), *gradients])
    for on_gpu, on_cpu in zip(*found, strict=True):
        assert_close(on_gpu, on_cpu, TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.MSELoss(), nn.BCEWithLogitsLoss()])
def test_a_loss_has_the_same_value_and_gradient(loss: nn.Module, dtype: torch.dtype) -> None:
    Z, y = examples(40, (5,), dtype)
    target = y if isinstance(loss, nn.CrossEntropyLoss) else torch.rand_like(Z)
    found: list[tuple[Tensor, Tensor]] = []
    for device in (CUDA, CPU):
        logits = (4 * Z).to(device).requires_grad_()
        value = loss(logits, target.to(device))
        found.append((value.detach(), torch.autograd.grad(value, logits)[0]))
    for on_gpu, on_cpu in zip(*found, strict=True):
        assert_close(on_gpu, on_cpu, TOLERANCES[dtype])


def train(
    device: torch.device,
    dtype: torch.dtype = torch.float64,
    *,
    resident: bool = False,
    network: str = "MLP",
    dropout: bool = False,
    epochs: int = 4,
    **options: Any,
) -> tuple[nn.Module, History]:
    """Train for 5 steps an epoch, 20 in all; the last batch of an epoch is smaller."""
    make, shape = NETWORKS[network]
    X, y = examples(36, shape, dtype)
    model = make(seeded()).to(dtype)
    if dropout:
        model = nn.Sequential(nn.Dropout(0.2), model)
    model.to(device)
    loader: Any = (
        DeviceBatches(X, y, 8, device=device, generator=seeded())
        if resident
        else make_loader(X, y, batch_size=8, generator=seeded())
    )
    history = fit(
        model,
        nn.CrossEntropyLoss(),
        torch.optim.Adam(model.parameters(), lr=0.01),
        loader,
        epochs=epochs,
        device=device,
        validation=make_loader(X[:10], y[:10], batch_size=4),
        progress=False,
        **options,
    )
    return model, history


def assert_same_run(
    on_gpu: tuple[nn.Module, History], on_cpu: tuple[nn.Module, History], tolerance: float
) -> None:
    for name in ("train_loss", "validation_loss"):
        assert on_gpu[1][name] == pytest.approx(on_cpu[1][name], rel=tolerance)
    parameters = (model.parameters() for model, _ in (on_gpu, on_cpu))
    for there, here in zip(*parameters, strict=True):
        assert_close(there.detach(), here.detach(), tolerance)


@pytest.mark.parametrize("resident", [False, True], ids=["loader", "on the device"])
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_twenty_steps_lead_to_the_same_parameters(dtype: torch.dtype, resident: bool) -> None:
    assert_same_run(train(CUDA, dtype, resident=resident), train(CPU, dtype), TOLERANCES[dtype])


@pytest.mark.parametrize("network", ["ConvNet", "ResNet"])
def test_twenty_steps_of_convolutions_lead_to_the_same_parameters(network: str) -> None:
    assert_same_run(train(CUDA, network=network), train(CPU, network=network), 1e-10)


def test_clipping_and_accumulating_change_nothing_about_that() -> None:
    options: Any = {"max_norm": 0.3, "accumulate": 2, "patience": 3}
    assert_same_run(train(CUDA, **options), train(CPU, **options), 1e-10)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_sixteen_bits_move_the_losses_by_no_more_than_they_leave_out(amp: Any) -> None:
    """fp16 leaves out steps whose scaled gradients overflow, on both devices the same."""
    _, whole = train(CPU, torch.float32)
    _, on_cpu = train(CPU, torch.float32, amp=amp)
    model, history = train(CUDA, torch.float32, amp=amp)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert history["train_loss"] != whole["train_loss"]
    assert history["train_loss"] == pytest.approx(on_cpu["train_loss"], rel=HALF)


@compiles
@pytest.mark.parametrize("mode", [True, "reduce-overhead"])
def test_a_compiled_network_learns_the_same(mode: bool | str) -> None:
    assert_same_run(train(CUDA, torch.float32, compile=mode), train(CPU, torch.float32), 1e-4)


def test_batches_on_the_device_are_those_of_a_loader_to_the_bit() -> None:
    X, y = examples(19, (1, 4, 4), torch.float32)
    shift: Any = {"augment": partial(random_shift, pixels=1)}
    there = DeviceBatches(X, y, 4, device=CUDA, generator=seeded(), **shift)
    here = make_loader(X, y, batch_size=4, generator=seeded(), **shift)
    for _ in range(2):
        for (X_there, y_there), (X_here, y_here) in zip(there, here, strict=True):
            assert X_there.device.type == y_there.device.type == CUDA.type
            assert torch.equal(X_there.cpu(), X_here)
            assert torch.equal(y_there.cpu(), y_here)


@pytest.mark.parametrize(("first", "then"), [(CPU, CUDA), (CUDA, CPU), (CUDA, CUDA)], ids=str)
@pytest.mark.filterwarnings("ignore:the run used a GPU")
def test_a_run_goes_on_on_another_device(
    first: torch.device, then: torch.device, tmp_path: Path
) -> None:
    train(first, epochs=2, checkpoints=Checkpoints(tmp_path))
    found = train(then, checkpoints=Checkpoints(tmp_path, resume=True))
    model, history = train(CPU)
    assert len(history) == len(found[1]) == 4
    assert_same_run((found[0].to(CUDA), found[1]), (model, history), 1e-10)


@pytest.mark.parametrize("kind", [torch.optim.Adagrad, torch.optim.Adam])
def test_what_an_optimizer_keeps_goes_where_the_network_goes(kind: type[torch.optim.Adam]) -> None:
    """Adagrad keeps sums from the start, Adam since it has learned on the CPU."""
    X, y = examples(16, (20,), torch.float64)
    parameters = []
    for device in (CUDA, CPU):
        model = NETWORKS["MLP"][0](seeded()).double()
        optimizer = kind(model.parameters(), lr=0.01)
        for where in (CPU, device):
            loss = nn.CrossEntropyLoss()
            fit(model, loss, optimizer, [(X, y)], epochs=3, device=where, progress=False)
        parameters.append([p.detach() for p in model.parameters()])
    for there, here in zip(*parameters, strict=True):
        assert_close(there, here, 1e-10)


def test_a_run_with_dropout_goes_on_with_the_gpus_generator(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole, _ = train(CUDA, dropout=True)
    torch.manual_seed(0)
    train(CUDA, dropout=True, epochs=2, checkpoints=Checkpoints(tmp_path))
    torch.manual_seed(1)  # what the checkpoint keeps must win
    found, _ = train(CUDA, dropout=True, checkpoints=Checkpoints(tmp_path, resume=True))
    for there, here in zip(found.parameters(), whole.parameters(), strict=True):
        assert_close(there.detach(), here.detach().cpu(), 1e-10)


def test_the_gpus_generators_go_on_where_they_stood() -> None:
    torch.rand(1, device=CUDA)
    state = generators_state()
    assert len(state["cuda"]) == torch.cuda.device_count()
    first = torch.rand(5, device=CUDA)
    assert not torch.equal(torch.rand(5, device=CUDA), first)
    set_generators_state(state)
    assert torch.equal(torch.rand(5, device=CUDA), first)


def test_measuring_and_predicting_agree_and_predictions_come_to_the_cpu() -> None:
    X, y = examples(30, (20,), torch.float64)
    measured = {}
    outputs = {}
    for device in (CUDA, CPU):
        model = NETWORKS["MLP"][0](seeded()).double()
        loader = make_loader(X, y, batch_size=7)
        measured[device] = evaluate(model, nn.CrossEntropyLoss(), loader, device=device)
        outputs[device] = predict(model, X, batch_size=7, device=device)
        assert outputs[device].device == CPU
    assert measured[CUDA] == pytest.approx(measured[CPU], rel=1e-10)
    assert torch.allclose(outputs[CUDA], outputs[CPU], rtol=1e-10, atol=1e-10)


def test_weights_leave_the_gpu_and_come_back_as_they_were(tmp_path: Path) -> None:
    model, other = (NETWORKS["MLP"][0](seeded(seed)).to(CUDA) for seed in (0, 1))
    save_arrays(model, tmp_path / "weights.npz")
    load_arrays(other, tmp_path / "weights.npz")
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert q.device.type == CUDA.type
        assert torch.equal(p, q)


@compiles
def test_all_loops_of_the_benchmark_compute_the_same_losses() -> None:
    sizes, batch, steps = (6, 16, 10), 8, 5

    def losses(name: str, device: torch.device) -> np.ndarray:
        epoch = gpu.CONTENDERS[name](gpu.Learner(sizes, batch * steps, batch, device))
        return torch.cat([epoch(), epoch()]).cpu().numpy()

    expected = losses("naive", CPU)
    for name in ("naive", "resident"):
        np.testing.assert_allclose(losses(name, CUDA), expected, rtol=1e-4)
    for name in ("bf16", "compiled", "graphs"):
        np.testing.assert_allclose(losses(name, CUDA), expected, rtol=HALF)


def test_the_command_line_trains_on_the_gpu_and_goes_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["train", "digits", "--backend", "pytorch", "--device", "cuda", "--amp", "bf16"]
    for part in (["--epochs", "2"], ["--epochs", "4", "--resume"]):
        with pytest.raises(SystemExit) as ended:
            cli.main([*command, "--checkpoint", "kept", "--out", "out", *part])
        assert not ended.value.code, capsys.readouterr().err
    history = History.load("out/history.json")
    assert len(history) == 4
    assert str(history.settings["device"]).startswith("cuda")
    assert history["validation_accuracy"][-1] > 0.9
