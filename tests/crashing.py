"""Small programs that stop with an exception, each with the code that explains it.

A program is a mistake as people make it, as short as it can be told. What only a GPU raises is
raised here with the words that PyTorch uses there.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F  # noqa: N812  # as programs have it
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

__all__ = ["PROGRAMS", "Program"]


class Program(NamedTuple):
    """A mistake, the code of what explains it, and words that its evidence must have."""

    run: Callable[[], Any]
    code: str
    words: tuple[str, ...]


PROGRAMS: dict[str, Program] = {}
X, Y = torch.randn(8, 3), torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])


def stops(code: str, *words: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Enter a program under its name."""

    def register(run: Callable[[], Any]) -> Callable[[], Any]:
        PROGRAMS[run.__name__] = Program(run, code, words)
        return run

    return register


def raises(name: str, code: str, error: BaseException, *words: str) -> None:
    """Enter a program that raises what another device would."""

    def run() -> None:
        raise error

    PROGRAMS[name] = Program(run, code, words)


def network() -> Any:
    """Make a network that sorts rows of three numbers into two classes."""
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def descend(loss_of: Callable[[nn.Module], Any], steps: int = 3) -> None:
    """Train a network for some steps by a loss."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        optimizer.step()


class Records(Dataset[Any]):
    """A dataset of eight records, whatever it holds."""

    def __init__(self, records: Any) -> None:
        self.records = records

    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> Any:
        return self.records[i]


# Shapes


@stops("wrong-input-width", "in_features=4", "(8, 3)", "takes 4", "found 3")
def linear_layer_too_wide() -> Any:
    return nn.Sequential(nn.Linear(3, 3), nn.Linear(4, 2))(X)


@stops("wrong-input-width", "takes 3 on axis 1 and found 1")
def convolution_of_other_channels() -> Any:
    return nn.Conv2d(3, 8, 3)(torch.randn(2, 1, 9, 9))


@stops("wrong-input-width", "takes 4", "found 3")
def batch_normalization_of_other_width() -> Any:
    return nn.BatchNorm1d(4)(X)


@stops("wrong-input-width", "LayerNorm", "(8, 3)")
def layer_normalization_of_other_width() -> Any:
    return nn.LayerNorm(4)(X)


@stops("wrong-input-width", "takes 4", "found 5")
def recurrent_layer_of_other_width() -> Any:
    return nn.LSTM(4, 3, batch_first=True)(torch.randn(2, 6, 5))


@stops("wrong-input-width", "takes 8", "found 6")
def attention_of_other_width() -> Any:
    return nn.TransformerEncoderLayer(8, 2)(torch.randn(5, 2, 6))


@stops("wrong-input-width", "the other way round")
def features_in_rows() -> Any:
    return nn.Linear(3, 2)(X.T)


@stops("flatten-missing", "(5, 3, 4, 4)", "is 48")
def images_not_flattened() -> Any:
    return nn.Linear(48, 2)(torch.randn(5, 3, 4, 4))


@stops("channels-on-the-last-axis", "3 channels on axis 1")
def images_with_channels_last() -> Any:
    return nn.Conv2d(3, 8, 3)(torch.randn(2, 9, 9, 3))


@stops("wrong-number-of-axes", "3 axes", "(32, 28, 28)")
def images_without_channels() -> Any:
    return nn.Conv2d(1, 8, 3)(torch.randn(32, 28, 28))


@stops("wrong-number-of-axes", "2 axes", "(2, 81)")
def flattened_images_for_a_convolution() -> Any:
    return nn.Conv2d(3, 8, 3)(torch.randn(2, 81))


@stops("wrong-number-of-axes", "BatchNorm2d")
def rows_for_two_dimensional_normalization() -> Any:
    return nn.BatchNorm2d(3)(X)


@stops("wrong-number-of-axes", "4 axes")
def images_for_a_recurrent_layer() -> Any:
    return nn.LSTM(4, 3)(torch.randn(5, 2, 5, 4))


@stops("kernel-larger-than-input", "(2, 3, 4, 4)", "Conv2d")
def kernel_beyond_the_map() -> Any:
    return nn.Conv2d(3, 8, 5)(torch.randn(2, 3, 4, 4))


@stops("kernel-larger-than-input", "(2, 3, 1, 1)")
def pooled_once_too_often() -> Any:
    return nn.MaxPool2d(2)(torch.randn(2, 3, 1, 1))


@stops("reshape-to-another-size", "12 numbers are no multiple of 5")
def view_of_another_width() -> Any:
    return torch.randn(3, 4).view(-1, 5)


@stops("reshape-to-another-size", "a batch of 6, not of 8")
def view_of_a_batch_that_is_not_full() -> Any:
    return torch.randn(6, 2, 2).view(8, 4)


@stops("view-of-scattered-memory")
def view_after_transpose() -> Any:
    return X.T.view(-1)


@stops("attention-mask-of-another-shape", "(5, 2, 8)")
def mask_of_another_length() -> Any:
    mask = torch.zeros(4, 4)
    return nn.TransformerEncoderLayer(8, 2)(torch.randn(5, 2, 8), src_mask=mask)


@stops("attention-mask-of-another-shape", "key_padded_mask", "(5, 2, 8)")
def padding_mask_of_the_wrong_axis() -> Any:
    mask, x = torch.zeros(5, 2).bool(), torch.randn(5, 2, 8)
    return nn.MultiheadAttention(8, 2)(x, x, x, key_padding_mask=mask)


@stops("state-of-another-shape", "(2, 6, 4)", "batch_first=True")
def state_of_a_full_batch() -> Any:
    return nn.GRU(4, 3, batch_first=True)(torch.randn(2, 6, 4), torch.zeros(1, 8, 3))


@stops("matrices-do-not-fit", "X @ X")
def product_of_rows() -> Any:
    return X @ X


@stops("shapes-do-not-fit", "x + torch.randn(8, 4)")
def residual_branch_of_another_width() -> Any:
    x = network()[0](X)
    x = x[:, :3]
    return x + torch.randn(8, 4)


@stops("targets-of-another-shape", "(8, 2)", "(8, 3)")
def squared_error_of_other_width() -> Any:
    return descend(lambda model: F.mse_loss(model(X), X))


@stops("joined-shapes-differ", "torch.cat")
def joined_maps_of_other_sizes() -> Any:
    return torch.cat([torch.randn(2, 3, 8, 8), torch.randn(2, 3, 7, 7)], dim=1)


@stops("axis-out-of-range", "1 axes", "argmax")
def axis_lost_by_squeeze() -> Any:
    return torch.randn(1, 3).squeeze().argmax(dim=1)


@stops("axis-out-of-range", "for row in")
def loop_over_a_number() -> Any:
    for row in torch.tensor(1.0):
        network()(row)


@stops("sizes-do-not-divide", "embed_dim 100", "num_heads 8")
def heads_that_do_not_divide() -> Any:
    return nn.MultiheadAttention(100, 8)


@stops("sizes-do-not-divide", "num_channels 6", "num_groups 4")
def groups_that_do_not_divide() -> Any:
    return nn.GroupNorm(4, 6)


@stops("batch-norm-over-one-example", "1 example", "9 examples in batches of 4 leave one")
def last_batch_of_one() -> Any:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    for (rows,) in DataLoader(TensorDataset(torch.randn(9, 3)), batch_size=4):
        model(rows)


@stops("many-numbers-used-as-one", "item()")
def item_of_many() -> Any:
    return X.item()


@stops("many-numbers-used-as-one", "if Y == Y")
def condition_on_many() -> Any:
    if Y == Y:
        return 1
    return 0


# Losses


@stops("labels-out-of-range", "0 to 4", "2 outputs")
def more_labels_than_classes() -> Any:
    descend(lambda model: F.cross_entropy(model(X), torch.tensor([0, 1, 4, 0, 1, 0, 0, 1])))


@stops("labels-out-of-range", "-1 to 1")
def labels_of_minus_one() -> Any:
    descend(lambda model: nn.CrossEntropyLoss()(model(X), Y * 2 - 1))


@stops("labels-out-of-range", "Class values")
def one_hot_of_too_few_classes() -> Any:
    return F.one_hot(Y + 3, 3)


@stops("labels-of-wrong-type", "torch.int32")
def labels_of_32_bits() -> Any:
    descend(lambda model: F.cross_entropy(model(X), Y.int()))


@stops("targets-of-whole-numbers", "torch.int64")
def binary_labels_as_integers() -> Any:
    descend(lambda model: F.binary_cross_entropy_with_logits(model(X)[:, 0], Y))


@stops("targets-of-whole-numbers", "torch.int64")
def probabilities_against_integers() -> Any:
    descend(lambda model: F.binary_cross_entropy(model(X)[:, 0].sigmoid(), Y))


@stops("classes-on-the-last-axis", "(2, 8, 8, 3)", "(2, 8, 8)")
def segmentation_with_classes_last() -> Any:
    return F.cross_entropy(torch.randn(2, 8, 8, 3), torch.zeros(2, 8, 8).long())


@stops("batch-cut-up-by-view", "32 rows", "8 labels")
def view_of_the_inputs() -> Any:
    model, images = nn.Linear(16, 2), torch.randn(8, 1, 8, 8)
    return F.cross_entropy(model(images.view(-1, 16)), Y)


@stops("batch-cut-up-by-view", "(8, 9) was made into (12, 6)", "8 examples")
def view_of_what_a_layer_made() -> Any:
    first, second = nn.Linear(3, 9), nn.Linear(6, 2)
    return F.cross_entropy(second(first(X).view(-1, 6)), Y)


@stops("targets-of-another-shape", "(8, 2)", "(5,)")
def labels_of_other_rows() -> Any:
    descend(lambda model: F.cross_entropy(model(X), Y[:5]))


@stops("targets-of-another-shape", "predictions (8, 1)", "targets (8,)")
def column_against_row() -> Any:
    descend(lambda model: F.binary_cross_entropy_with_logits(model(X)[:, :1], Y.float()))


@stops("targets-of-another-shape", "predictions (8,)", "targets (8, 1)")
def row_against_column() -> Any:
    z = torch.rand(8)
    return nn.BCELoss()(z, Y[:, None].float())


@stops("labels-with-an-axis-too-many", "labels (8, 1)")
def labels_in_a_column() -> Any:
    descend(lambda model: F.cross_entropy(model(X), Y[:, None]))


@stops("labels-with-an-axis-too-many", "(2, 1, 8, 8)")
def masks_with_a_channel() -> Any:
    return F.cross_entropy(torch.randn(2, 3, 8, 8), torch.zeros(2, 1, 8, 8).long())


@stops("labels-read-as-probabilities", "(8, 2) of torch.int64")
def one_hot_integers() -> Any:
    descend(lambda model: F.cross_entropy(model(X), F.one_hot(Y, 2)))


@stops("labels-read-as-probabilities", "no axis for the classes")
def logits_squeezed() -> Any:
    descend(lambda model: F.cross_entropy(model(X)[:, 0], Y))


@stops("class-weights-of-another-number", "2 outputs, 3 weights")
def one_class_weight_too_many() -> Any:
    descend(lambda model: F.cross_entropy(model(X), Y, weight=torch.ones(3)))


@stops("nan-reached-the-loss", "100% of the predictions")
def probabilities_of_nan() -> Any:
    descend(lambda model: F.binary_cross_entropy((np.nan * model(X)[:, 0]).sigmoid(), Y.float()))


@stops("nan-reached-the-loss", "after 1 steps at a rate of inf", "weight")
def weights_of_nan() -> Any:
    rows, model = torch.tensor([[1.0, 0.0, 2.0]] * 8), nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=float("inf"))
    for _ in range(3):
        loss = F.binary_cross_entropy(model(rows)[:, 0].sigmoid(), Y.float())
        loss.backward()
        optimizer.step()


@stops("nan-reached-the-loss", "loc")
def distribution_of_nan() -> Any:
    return torch.distributions.Normal(torch.tensor(torch.nan), 1.0, validate_args=True)


@stops("binary-loss-on-logits", "from 5 to 5")
def logits_for_probabilities() -> Any:
    return nn.BCELoss()(torch.full((8,), 5.0), Y.float())


@stops("targets-outside-0-and-1", "from 1 to 2")
def binary_labels_of_1_and_2() -> Any:
    return nn.BCELoss()(torch.rand(8), Y.float() + 1)


@stops("loss-class-called-as-function", "nn.MSELoss(model(X), Y)")
def loss_class_for_the_loss() -> Any:
    descend(lambda model: nn.MSELoss(model(X), Y))


@stops("loss-not-a-scalar", "shape (8,)")
def losses_not_averaged() -> Any:
    descend(lambda model: F.cross_entropy(model(X), Y, reduction="none"))


@stops("loss-is-no-tensor", "float")
def item_before_backward() -> Any:
    descend(lambda model: F.cross_entropy(model(X), Y).item())


@stops("loss-is-no-tensor", "tuple")
def loss_with_a_companion() -> Any:
    descend(lambda model: (F.cross_entropy(model(X), Y), 1))


@stops("loss-is-no-tensor", "None")
def loss_not_returned() -> Any:
    descend(lambda model: model.register_buffer("unused", None))


# Graphs


@stops("all-parameters-frozen", "none of the network's 4 parameters")
def everything_frozen() -> Any:
    descend(lambda model: model.requires_grad_(False)(X).mean())


@stops("forward-without-gradients", "with torch.no_grad():")
def forward_under_no_grad() -> Any:
    model = network()
    with torch.no_grad():
        loss = F.cross_entropy(model(X), Y)
    loss.backward()


@stops("forward-without-gradients", "Inference tensors")
def inputs_of_inference_mode() -> Any:
    with torch.inference_mode():
        features = X * 2
    descend(lambda model: F.cross_entropy(model(features), Y))


@stops("no-gradient-through-argmax", "argmax")
def loss_of_decisions() -> Any:
    rows = torch.tensor(X.numpy())
    model = network()
    predicted = model(rows).argmax(dim=1).float()
    loss = F.mse_loss(predicted, Y.float())
    loss.backward()


@stops("loss-detached", "torch.tensor(errors)")
def loss_made_of_a_list() -> Any:
    model = network()
    errors = [F.mse_loss(z, X[0, :2]).item() for z in model(X)]
    loss = torch.tensor(errors).mean()
    loss.backward()


@stops("loss-detached", "z.detach()")
def loss_of_detached_outputs() -> Any:
    rows = torch.tensor(X.numpy())
    model = network()
    z = model(rows)
    loss = z.detach().square().mean()
    loss.backward()


class Cutting(nn.Module):
    """A network that goes through NumPy."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self.layer(x).detach().numpy())


@stops("loss-detached", "from_numpy")
def network_through_numpy() -> Any:
    Cutting()(X).mean().backward()


@stops("step-between-forward-and-backward", "2.weight", "(2, 4)", "by a step")
def step_before_the_second_loss() -> Any:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    first, second = model(X).mean(), model(X).square().mean()
    first.backward()
    optimizer.step()
    second.backward()


@stops("changed-in-place", "sigmoid", "8, 2")
def result_scaled_in_place() -> Any:
    z = network()(X).sigmoid()
    z *= 2
    z.sum().backward()


@stops("changed-in-place", "model[0].weight -= 0.1")
def weights_changed_by_hand() -> Any:
    model = network()
    model[0].weight -= 0.1


@stops("graph-used-twice", "in backward pass 2")
def backward_twice() -> Any:
    loss = network()(X).square().mean()
    loss.backward()
    loss.backward()


@stops("graph-used-twice", "features")
def features_made_before_the_loop() -> Any:
    model = network()
    features = torch.relu(model[0](X))
    for _ in range(2):
        loss = model[2](features).square().mean()
        loss.backward()


@stops("optimizer-given-a-result")
def optimizer_of_a_scaled_leaf() -> Any:
    return optim.SGD([torch.randn(3, requires_grad=True) * 0.1])


@stops("gradient-of-what-was-not-used")
def saliency_without_gradients() -> Any:
    return torch.autograd.grad(network()(X).sum(), X)


@stops("gradient-of-whole-numbers")
def weights_of_whole_numbers() -> Any:
    return torch.tensor([1, 2], requires_grad=True)


@stops("graph-copied")
def copy_of_a_result() -> Any:
    return copy.deepcopy(network()(X))


@stops("gradients-not-finite", "Sqrt")
def root_of_nothing() -> Any:
    w = torch.zeros(1, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        (w.sqrt() * 0).sum().backward()


@stops("gradients-not-finite")
def clipping_of_nan() -> Any:
    model = network()
    (model(X) * torch.nan).sum().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)


@stops("scaler-without-gradients")
def scaler_without_backward() -> Any:
    model, scaler = network(), torch.amp.GradScaler("cpu")
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scaler.scale(model(X).mean())
    scaler.step(optimizer)


@stops("scaler-not-updated")
def scaler_unscaling_twice() -> Any:
    model, scaler = network(), torch.amp.GradScaler("cpu")
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scaler.scale(model(X).mean()).backward()
    scaler.unscale_(optimizer)
    scaler.unscale_(optimizer)


@stops("scaler-on-half-precision")
def scaler_on_a_half_network() -> Any:
    model, scaler = network().half(), torch.amp.GradScaler("cpu")
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scaler.scale(model(X.half()).mean()).backward()
    scaler.step(optimizer)


# Types and devices


@stops("inputs-of-wrong-type", "torch.float64", "torch.float32")
def rows_in_double_precision() -> Any:
    descend(lambda model: model(X.double()).mean())


@stops("inputs-of-wrong-type", "torch.uint8")
def images_of_bytes() -> Any:
    return nn.Conv2d(3, 2, 2)(torch.ones(2, 3, 4, 4).byte())


@stops("inputs-of-wrong-type", "torch.float64", "LSTM")
def series_in_double_precision() -> Any:
    return nn.LSTM(3, 2)(torch.randn(5, 2, 3).double())


@stops("inputs-of-wrong-type", "torch.float64")
def normalization_in_double_precision() -> Any:
    return nn.BatchNorm1d(3)(X.double())


@stops("inputs-of-wrong-type", "targets torch.float64")
def targets_in_double_precision() -> Any:
    return F.binary_cross_entropy(torch.rand(8), Y.double())


@stops("conversion-dropped", "rows.float()")
def float_dropped() -> Any:
    rows = X.double()
    rows.float()
    return network()(rows)


@stops("whole-numbers-in-arithmetic", "mean()")
def mean_of_whole_numbers() -> Any:
    return Y.mean()


@stops("whole-numbers-in-arithmetic", "wrong order")
def labels_before_logits() -> Any:
    descend(lambda model: F.cross_entropy(Y, model(X)))


@stops("devices-differ", "the weights of LSTM are on meta", "the input is on cpu")
def network_elsewhere() -> Any:
    return nn.LSTM(3, 2, device="meta")(torch.randn(5, 2, 3))


@stops("devices-differ", "meta")
def linear_network_elsewhere() -> Any:
    return nn.Linear(3, 2, device="meta")(X)


@stops("conversion-dropped", "rows.to(device)")
def move_dropped() -> Any:
    rows, device = X, "meta"
    model = nn.Linear(3, 2).to(device)
    rows.to(device)
    return model(rows)


SAME = "Expected all tensors to be on the same device"
raises(
    "cuda_mixed_before_2_8",
    "devices-differ",
    RuntimeError(
        f"{SAME}, but found at least two devices, cuda:0 and cpu! (when checking argument for "
        "argument mat1 in method wrapper_CUDA_addmm)"
    ),
    "cuda:0 and cpu",
)
raises(
    "cuda_mixed",
    "devices-differ",
    RuntimeError(
        f"{SAME}, but got mat1 is on cpu, different from other tensors on cuda:0 (when checking "
        "argument in method wrapper_CUDA_addmm)"
    ),
    "mat1 is on cpu",
)
raises(
    "cuda_convolution_of_cpu",
    "devices-differ",
    RuntimeError(
        "Input type (torch.FloatTensor) and weight type (torch.cuda.FloatTensor) should be the "
        "same or input should be a MKLDNN tensor and weight is a dense tensor"
    ),
)
raises(
    "cuda_convolution_of_doubles",
    "inputs-of-wrong-type",
    RuntimeError(
        "Input type (torch.cuda.DoubleTensor) and weight type (torch.cuda.FloatTensor) should be "
        "the same"
    ),
)
raises(
    "mps_mixed",
    "devices-differ",
    RuntimeError("Placeholder storage has not been allocated on MPS device!"),
)
raises(
    "mps_convolution_of_cpu",
    "devices-differ",
    RuntimeError(
        "Input type (MPSFloatType) and weight type (torch.FloatTensor) should be the same or "
        "input should be a MKLDNN tensor and weight is a dense tensor"
    ),
)
raises(
    "mps_float64",
    "double-precision-on-mps",
    TypeError(
        "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support "
        "float64. Please use float32 instead."
    ),
)
raises(
    "cuda_out_of_memory",
    "out-of-memory",
    torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.11 GiB "
        "of which 11.56 MiB is free."
    ),
    "after 0 steps",
)
raises(
    "mps_out_of_memory",
    "out-of-memory",
    RuntimeError("MPS backend out of memory (MPS allocated: 8.02 GB, max allowed: 9.07 GB)."),
)
raises(
    "cuda_assertion",
    "assertion-on-the-device",
    RuntimeError(
        "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously "
        "reported at some other API call, so the stacktrace below might be incorrect."
    ),
)
raises(
    "cuda_to_numpy",
    "numpy-of-a-tensor-in-use",
    TypeError(
        "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to "
        "host memory first."
    ),
)
raises(
    "cuda_labels_of_floats",
    "labels-of-wrong-type",
    RuntimeError("\"nll_loss_forward_reduce_cuda_kernel_2d_index\" not implemented for 'Float'"),
)
raises(
    "half_on_cpu",
    "half-precision-missing",
    RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'"),
)
raises(
    "cuda_in_a_fork",
    "device-not-there",
    RuntimeError(
        "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you "
        "must use the 'spawn' start method"
    ),
)
raises(
    "compiled_layer_of_other_width",
    "wrong-input-width",
    RuntimeError(
        "RuntimeError when making fake tensor call\n  Explanation: Dynamo failed to run FX node "
        "with fake tensors: call_function <built-in function linear>(*(FakeTensor(..., size=(8, "
        "4)), Parameter(FakeTensor(..., size=(2, 5)))), **{}): got RuntimeError('a and b must "
        "have same reduction dim, but got [8, 4] X [5, 2].')\n  Hint: Your code may result in an "
        "error when running in eager."
    ),
    "[8, 4] X [5, 2]",
)
raises(
    "compiled_convolution_of_other_channels",
    "wrong-input-width",
    RuntimeError(
        "Dynamo failed to run FX node with fake tensors: call_function <built-in method conv2d of "
        "type object at 0x7f0>(*(FakeTensor(..., size=(s33, 1, s69, s87))), **{}): got "
        "RuntimeError('Given groups=1, weight of size [8, 3, 3, 3], expected input[s33, 1, s69, "
        "s87] to have 3 channels, but got 1 channels instead')"
    ),
    "to have 3 channels",
)
raises(
    "parallel_with_unused_parameters",
    "parameters-unused-in-parallel",
    RuntimeError(
        "Expected to have finished reduction in the prior iteration before starting a new one."
    ),
)
raises(
    "workers_without_a_guard",
    "main-guard-missing",
    RuntimeError(
        "An attempt has been made to start a new process before the\n        current process has "
        "finished its bootstrapping phase."
    ),
)


@stops("out-of-memory", "after 0 steps")
def more_than_there_is() -> Any:
    return torch.empty(10**15)


@stops("numpy-of-a-tensor-in-use", "numpy()")
def numpy_of_predictions() -> Any:
    return network()(X).numpy()


@stops("numpy-of-a-tensor-in-use", "np.mean")
def mean_of_losses_by_numpy() -> Any:
    return np.mean([network()(X).mean()])


@stops("argument-is-no-tensor", "numpy.ndarray")
def array_for_a_layer() -> Any:
    return network()(np.zeros((8, 3)))


@stops("argument-is-no-tensor", "batches of loaders")
def batch_for_a_layer() -> Any:
    for batch in DataLoader(TensorDataset(X, Y)):
        network()(batch)


@stops("text-in-the-table", "object_")
def table_with_text() -> Any:
    return torch.tensor(np.array([[1, "a"]], dtype=object))


# Networks


class WithoutSuper(nn.Module):
    """A network whose ``__init__`` does not call that of its base."""

    def __init__(self) -> None:
        self.layer = nn.Linear(3, 2)


class Misspelled(nn.Module):
    """A network whose ``forward`` has another name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def foward(self, x: Tensor) -> Any:
        return self.layer(x)


class Silent(nn.Module):
    """A network that returns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> None:
        self.layer(x)


class Recurrent(nn.Module):
    """A network that takes the tuple of its recurrent layer for a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.rnn(x))


class Lacking(nn.Module):
    """A network that uses a layer that it did not make."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Any:
        second: Any = self.fc2
        return second(self.fc1(x))


class Listing(nn.Module):
    """A network that keeps its layers in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(3, 3), nn.Linear(3, 2)]


@stops("super-init-missing", "WithoutSuper")
def layers_before_super() -> Any:
    return WithoutSuper()


@stops("forward-missing", "'foward'")
def forward_misspelled() -> Any:
    return Misspelled()(X)


@stops("forward-missing", "ModuleList holds layers")
def list_of_layers_called() -> Any:
    return nn.ModuleList([nn.Linear(3, 2)])(X)


@stops("not-a-layer", "relu")
def function_among_layers() -> Any:
    activation: Any = F.relu
    return nn.Sequential(nn.Linear(3, 2), activation)


@stops("parameter-replaced-by-a-tensor", "weight")
def weights_assigned() -> Any:
    network()[0].weight = torch.zeros(4, 3)


@stops("wrong-number-of-arguments", "Linear.forward takes (input")
def layer_with_two_inputs() -> Any:
    return nn.Linear(3, 2)(X, X)


@stops("wrong-number-of-arguments", "target")
def loss_without_targets() -> Any:
    descend(lambda model: nn.CrossEntropyLoss()(model(X)))


@stops("tuple-given-for-a-tensor", "LSTM")
def recurrent_layer_before_a_head() -> Any:
    return Recurrent()(torch.randn(2, 5, 3))


@stops("gradient-is-none", "after 0 backward passes")
def gradient_before_backward() -> Any:
    model = network()
    return model[0].weight.grad.norm()


@stops("gradient-is-none", "after 0 backward passes")
def step_by_hand_before_backward() -> Any:
    model = network()
    return model[0].weight - 0.1 * model[0].weight.grad


@stops("forward-returns-nothing", "Silent.forward")
def network_without_return() -> Any:
    model = Silent()
    return F.cross_entropy(model(X), Y)


@stops("forward-returns-nothing", "Silent.forward")
def layer_after_one_without_return() -> Any:
    return nn.Sequential(Silent(), nn.Linear(2, 2))(X)


@stops("layer-not-made", "Lacking has fc1")
def layer_of_another_name() -> Any:
    return Lacking()(X)


@stops("state-of-another-network", "begin with 'module.'")
def weights_of_a_parallel_network() -> Any:
    state = {f"module.{name}": value for name, value in network().state_dict().items()}
    network().load_state_dict(state)


@stops("state-of-another-network", "2.weight is (3, 4) in the file and (2, 4) in the network")
def weights_of_another_head() -> Any:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
    network().load_state_dict(model.state_dict())


@stops("state-of-another-network", "checkpoint", "epoch")
def checkpoint_for_weights() -> Any:
    network().load_state_dict({"model": network().state_dict(), "epoch": 3})


@stops("file-holds-more-than-weights")
def network_saved_whole() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        torch.save(network(), Path(folder) / "model.pt")
        return torch.load(Path(folder) / "model.pt")


@stops("lazy-layer-without-a-shape")
def lazy_layer_counted() -> Any:
    return sum(p.numel() for p in nn.LazyLinear(3).parameters())


# Optimizers and schedules


@stops("parameters-used-up", "'params'")
def parameters_printed_first() -> Any:
    params = network().parameters()
    shapes = [p.shape for p in params]
    return optim.Adam(params), shapes


@stops("no-parameters", "Listing.layers is a list of 2 layers")
def layers_in_a_list() -> Any:
    model = Listing()
    return optim.SGD(model.parameters(), lr=0.1)


@stops("no-parameters", "Listing.layers is a list of 2 layers")
def layers_in_a_list_named_first() -> Any:
    model = Listing()
    params = model.parameters()
    return optim.SGD(params, lr=0.1)


@stops("no-parameters", "all parameters of Sequential are frozen")
def nothing_left_to_learn() -> Any:
    model = network().requires_grad_(False)
    return optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)


@stops("optimizer-not-given-parameters", "optim.SGD(model")
def network_for_the_optimizer() -> Any:
    model: Any = Lacking()
    return optim.SGD(model, lr=0.1)


@stops("optimizer-not-given-parameters", "list of generators")
def generators_for_the_optimizer() -> Any:
    several: Any = [network().parameters(), network().parameters()]
    return optim.SGD(several, lr=0.1)


@stops("parameter-given-twice")
def head_in_two_groups() -> Any:
    model = network()
    return optim.SGD([{"params": model.parameters()}, {"params": model[2].parameters()}])


@stops("rate-below-zero", "-0.1")
def negative_rate() -> Any:
    return optim.SGD(network().parameters(), lr=-0.1)


@stops("setting-out-of-range", "nn.Dropout(50)")
def dropout_in_percent() -> Any:
    return nn.Dropout(50)


@stops("setting-out-of-range", "lr=rate")
def rate_as_text() -> Any:
    rate: Any = "0.1"
    return optim.Adam(network().parameters(), lr=rate)


@stops("closure-missing")
def lbfgs_without_closure() -> Any:
    model = network()
    optimizer: Any = optim.LBFGS(model.parameters())
    optimizer.step()


@stops("closure-missing")
def loss_given_to_step() -> Any:
    model = network()
    optim.SGD(model.parameters(), lr=0.1).step(model(X).mean())


@stops("plateau-without-a-measure")
def plateau_stepped_blindly() -> Any:
    optimizer = optim.SGD(network().parameters(), lr=0.1)
    schedule: Any = optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    schedule.step()


@stops("schedule-too-short", "made for 2 steps")
def one_cycle_of_two_steps() -> Any:
    optimizer = optim.SGD(network().parameters(), lr=0.1)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=2)
    for _ in range(4):
        optimizer.step()
        schedule.step()


@stops("optimizer-state-of-another-network")
def optimizer_of_a_smaller_network() -> Any:
    smaller = optim.SGD(nn.Linear(3, 2).parameters(), lr=0.1)
    optim.SGD(network().parameters(), lr=0.1).load_state_dict(smaller.state_dict())


# Data


@stops("embedding-too-small", "from 0 to 4", "4 rows")
def words_beyond_the_table() -> Any:
    return nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 2))(torch.arange(5))


@stops("indices-of-wrong-type", "torch.float32")
def words_of_floats() -> Any:
    return nn.Embedding(4, 3)(X)


@stops("records-of-different-shapes", "record 0 has shape (1)", "record 1 has shape (2)")
def series_of_different_lengths() -> Any:
    return list(DataLoader(Records([torch.ones(i + 1) for i in range(8)]), batch_size=4))


@stops("records-of-different-shapes")
def lists_of_different_lengths() -> Any:
    return list(DataLoader(Records([[0] * i for i in range(8)]), batch_size=4))


@stops("records-of-different-shapes", "record 1")
def series_of_different_lengths_in_a_worker() -> Any:
    records = Records([torch.ones(i + 1) for i in range(8)])
    return list(DataLoader(records, batch_size=4, num_workers=1))


@stops("records-of-a-wrong-kind", "gives None")
def dataset_without_return() -> Any:
    return list(DataLoader(Records([None] * 8)))


@stops("record-not-found", "self.records[i]", "i = 3")
def dataset_shorter_than_it_says() -> Any:
    return list(DataLoader(Records([0, 1, 2])))


@stops("record-not-found", "KeyError: 0")
def dataset_without_its_first_key() -> Any:
    return list(DataLoader(Records({5: 1})))


@stops("record-not-found", "IndexError")
def dataset_too_short_in_a_worker() -> Any:
    return list(DataLoader(Records([0, 1, 2]), num_workers=1))


@stops("dataset-not-for-workers", "local object")
def dataset_inside_a_function() -> Any:
    class Local(Records):
        pass

    context = multiprocessing.get_context("spawn")
    return list(DataLoader(Local([0] * 8), num_workers=1, multiprocessing_context=context))


class Dying(Records):
    """A dataset whose worker ends at the first record."""

    def __getitem__(self, i: int) -> Any:
        os._exit(1)


@stops("worker-died", "exited unexpectedly")
def worker_that_ends() -> Any:
    return list(DataLoader(Dying([]), num_workers=1))


@stops("dataset-empty")
def folder_without_files() -> Any:
    nothing: list[Tensor] = []
    return DataLoader(nothing, shuffle=True)  # type: ignore[arg-type]


@stops("tensors-of-different-lengths", "(8, 3), (5,)")
def inputs_without_labels() -> Any:
    return TensorDataset(X, Y[:5])


@stops("parts-do-not-add-up", "[3, 4]", "8 records")
def split_that_leaves_some() -> Any:
    return random_split(Records(X), [3, 4])


class Endless(Dataset[Any]):
    """A dataset without a length."""

    def __getitem__(self, i: int) -> Any:
        return i


@stops("dataset-incomplete", "Endless")
def dataset_without_length() -> Any:
    return DataLoader(Endless(), shuffle=True)


@stops("dataset-incomplete", "DataLoader")
def loader_with_an_index() -> Any:
    loader: Any = DataLoader(Records(X))
    return loader[0]


@stops("batch-unpacked-wrongly", "for x, y, z in loader")
def batch_of_two_for_three_names() -> Any:
    loader: Any = DataLoader(TensorDataset(X, Y))
    for x, y, z in loader:
        network()(x + y + z)


@stops("lengths-not-for-packing", "from 3 to 5")
def lengths_in_any_order() -> Any:
    return nn.utils.rnn.pack_padded_sequence(torch.randn(5, 2, 4), torch.tensor([3, 5]))


@stops("nothing-collected", "torch.cat(outputs)")
def condition_that_no_row_meets() -> Any:
    outputs = [row for row in network()(X) if row.sum() > 1000]
    return torch.cat(outputs)


@stops("argument-is-no-tensor", "list")
def batch_moved_as_one() -> Any:
    for batch in DataLoader(TensorDataset(X, Y)):
        batch.to("cpu")


@stops("class-for-an-object", "Lacking.parameters()")
def parentheses_forgotten() -> Any:
    parameters: Any = Lacking.parameters
    return optim.SGD(Lacking.parameters(), lr=0.1) if parameters else None  # type: ignore[call-arg]


class Endlessly(nn.Module):
    """A network that calls itself."""

    def forward(self, x: Tensor) -> Any:
        return self(x)


@stops("calls-without-end", "forward at crashing.py")
def network_that_calls_itself() -> Any:
    return Endlessly()(X)


@stops("wrong-input-width", "takes 4", "found 3")
def exception_raised_from_another() -> Any:
    try:
        nn.Sequential(nn.Linear(4, 2))(X)
    except RuntimeError as error:
        raise SystemError("training failed") from error


@stops("attention-mask-of-another-shape", "(5, 2, 8)")
def memory_of_another_batch() -> Any:
    return nn.TransformerDecoderLayer(8, 2)(torch.randn(5, 2, 8), torch.randn(5, 3, 8))


@stops("many-numbers-used-as-one", "{X:.3f}")
def many_numbers_printed_as_one() -> Any:
    return f"{X:.3f}"
