"""Rules about exceptions over types and devices: numbers of another precision, or elsewhere."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from dlbook.doctor.rules.crash import Crash, explains
from dlbook.doctor.rules.rule import Sign

__all__: list[str] = []

PRECISION = (
    r"mat1 and mat2 must have the same dtype, but got (\w+) and (\w+)",
    r"Input type \((\w[\w: ]*)\) and (?:bias|weight) type \((\w[\w: ]*)\) should be the same",
    r"expected m(?:at)?1 and m(?:at)?2 to have the same dtype, but got: (\w+) != (\w+)",
    r"expected scalar type (\w+) but found (\w+)",
    r"RNN input dtype \((\S+)\) does not match weight dtype \((\S+)\)",
    r"addmv input tensors must have the same dtype, but got (\w+), (\w+)",
    r"Expected object of scalar type (\w+) but got scalar type (\w+)",
    r"dot : expected both vectors to have same dtype, but found (\w+) and (\w+)",
    r"mixed dtype \(\w+\): (all inputs) must share (same datatype)",
    r"Expected query, key, and value to have the same dtype, but got .*?: (\S+) .*?: (\S+)",
)
DROPPED = re.compile(
    r"^\s*(\w+)\.(?:to|cuda|cpu|float|double|half|bfloat16|long|type|mps)\(.*\)\s*(?:#.*)?$",
    re.MULTILINE,
)


@explains(
    *PRECISION,
    r"Expected all tensors to be on the same device",
    r"Input and (?:parameter|hidden) tensors are not at the same device",
    r"Placeholder storage has not been allocated on MPS device",
    r"Tensor on device \S+ is not on the expected device",
    r"Input type \(\S+\) and weight type \(\S+\) should be the same",
    r"must be on the same device|not on the same device",
    title="the result of to (float, cuda) is dropped: tensors are not converted in place",
    fix="- x.to(device)\n+ x = x.to(device)",
    born="conversion_dropped",
)
def conversion_dropped(crash: Crash) -> Sign | None:
    """Find a conversion of a tensor whose result nobody keeps.

    ``to``, ``float``, ``double`` and ``cuda`` change a module in place, but of a tensor they return
    another one and leave it as it is.
    """
    for frame in crash.readers:
        for name, line, where in frame.statements(DROPPED):
            if isinstance(frame.variables.get(name), Tensor):
                return Sign(
                    f"{line!r} at {where} keeps nothing", where, f"- {line}\n+ {name} = {line}"
                )
    return None


@explains(
    *PRECISION,
    r"Input type \(torch\.(\w+\.\w+|\w+)\) and weight type \(torch\.(\w+\.\w+|\w+)\) should be",
    r"Found dtype (Double|Half|BFloat16|Float) but expected (Float|Half|BFloat16|Double)",
    r"Index put requires the source and destination dtypes match",
    r"Expected self\.dtype to be equal to src\.dtype",
    title="inputs and weights are of different types (float64 or integers for float32)",
    fix="- x = torch.tensor(array)\n+ x = torch.tensor(array, dtype=torch.float32)",
    born="inputs_in_double_precision",
)
def inputs_of_wrong_type(crash: Crash) -> Sign | None:
    """Find tensors of different types in one operation.

    Weights are float32 unless asked otherwise. NumPy and pandas compute in float64, images are
    bytes, and tables of counts are integers: they must be converted.
    """
    if "Tensor)" in crash.message and _device(crash.found[1]) != _device(crash.found[2]):
        return None
    given, layer, target = crash.tensor("input", "query"), crash.layer, crash.tensor("target")
    told = []
    if given is not None:
        told.append(f"the input has dtype {given.dtype}")
    if layer is not None and (p := next(layer.parameters(), None)) is not None:
        told.append(f"the weights of {type(layer).__name__} have {p.dtype}")
    elif target is not None and given is not None:
        told.append(f"the targets {target.dtype}")
        if target.dtype == torch.float64:
            return Sign(
                ", ".join(told), fix="- loss = loss_fn(z, y)\n+ loss = loss_fn(z, y.float())"
            )
    return Sign(", ".join(told))


@explains(
    r"could not infer output dtype\. Input dtype must be either a floating point",
    r"\"(\w+)\" not implemented for '(Long|Int|Byte|Bool|Short|Char)'",
    r"result type (?:Float|Double) can't be cast to the desired output type (?:Long|Int|Byte|Bool)",
    title="whole numbers are used where numbers with a fraction are needed",
    fix="- x.mean()\n+ x.float().mean()",
)
def whole_numbers_in_arithmetic(crash: Crash) -> Sign | None:
    """Find integers in an operation that gives fractions.

    Means, softmax, normalization and dropout give fractions, which integers cannot hold. Where
    labels arrive in place of predictions, the two have been given in the wrong order.
    """
    logits, labels = crash.tensor("input"), crash.tensor("target")
    if logits is not None and labels is not None and labels.is_floating_point():
        told = f"the predictions have dtype {logits.dtype}, the labels {labels.dtype}"
        return Sign(
            told + ": the two are in the wrong order",
            fix="- loss = cross_entropy(y, logits)\n+ loss = cross_entropy(logits, y)",
        )
    return Sign("")


@explains(
    r"not implemented for '(Half|BFloat16)'",
    title="half precision is not there for this operation on this device",
    fix="- model.half()\n+ model.float()",
)
def half_precision_missing(_: Crash) -> Sign | None:
    """Find half precision where a device does not compute in it.

    On a CPU some operations have no float16; ``autocast`` chooses for each operation.
    """
    return Sign("")


@explains(
    r"Cannot convert a MPS Tensor to float64",
    r"MPS framework doesn't support float64",
    title="float64 is moved to an Apple GPU, which has none",
    fix="- x = torch.from_numpy(array).to('mps')\n+ x = torch.from_numpy(array).float().to('mps')",
)
def double_precision_on_mps(_: Crash) -> Sign | None:
    """Find double precision on a device that does not know it.

    NumPy computes in float64, and Apple's GPUs in float32 at most.
    """
    return Sign("")


@explains(
    r"Expected all tensors to be on the same device, but (?:found at least two devices, )?"
    r"(?:got )?(.+?)(?: \(when|!|$)",
    r"Input and (?:parameter|hidden) tensors are not at the same device, found (.*)",
    r"Input type \((torch\.(?:cuda\.|mps\.)?\w+|\w*MPS\w*)\) and weight type \(",
    r"Placeholder storage has not been allocated on MPS device",
    r"Tensor on device (\S+) is not on the expected device (\S+)!",
    r"Tensor for argument .* is on (\w+), but expected (?:it|them) to be on (?:GPU|\w+)",
    r"must be on the same device|not on the same device",
    r"indices should be either on .* or on the same device as the indexed tensor \((.*)\)",
    r"'lengths' argument should be a 1D CPU int64 tensor, but got 1D (\S+)",
    r"Expected a '(\w+)' device type for generator but found '(\w+)'",
    r"Expected tensor to have (\w+) DeviceType, but got tensor with (\w+) DeviceType",
    title="tensors are on different devices (CPU and GPU)",
    fix="  model.to(device)\n- loss = loss_fn(model(x), y)\n"
    "+ x, y = x.to(device), y.to(device)\n+ loss = loss_fn(model(x), y)",
)
def devices_differ(crash: Crash) -> Sign | None:
    """Find tensors of different devices in one operation.

    An operation runs on one device, and all it is given must be there: weights, inputs, labels,
    class weights, states, and tensors that ``forward`` makes.
    """
    given, layer, target = crash.tensor("input", "query"), crash.layer, crash.tensor("target")
    told = []
    if given is not None:
        told.append(f"the input is on {given.device}")
    if layer is not None and (p := next(layer.parameters(), None)) is not None:
        told.append(f"the weights of {type(layer).__name__} are on {p.device}")
    elif target is not None:
        told.append(f"the targets are on {target.device}")
    weight = crash.tensor("weight") if target is not None else None
    if weight is not None:
        told.append(f"the class weights on {weight.device}")
    return Sign(", ".join(told))


@explains(
    r"out of memory",
    r"can't allocate memory: you tried to allocate (\d+) bytes",
    r"^MemoryError",
    r"CUBLAS_STATUS_ALLOC_FAILED",
    r"Invalid buffer size: ",
    title="memory ran out",
    fix="- DataLoader(data, batch_size=256)\n+ DataLoader(data, batch_size=64)\n"
    "- total += loss\n+ total += loss.item()",
)
def out_of_memory(crash: Crash) -> Sign | None:
    """Find memory that ran out.

    A forward pass keeps what the backward pass needs: memory grows with the batch and the network.
    Where it ran well for some steps, something is kept from each: losses with their graphs, or
    predictions outside ``no_grad``.
    """
    steps = crash.record.counts["step"]
    alive, seen = crash.record.graphs_kept
    told = f"after {steps} steps"
    if seen and alive > seen // 2:
        told += f"; of {seen} graphs that backward was called on, {alive} were still kept"
    return Sign(told)


@explains(
    r"device-side assert triggered",
    r"Assertion `t >= 0 && t < n_classes` failed",
    r"CUBLAS_STATUS_NOT_INITIALIZED|CUBLAS_STATUS_EXECUTION_FAILED",
    title="a label or an index is out of range on the GPU (device-side assert)",
    fix="$ CUDA_LAUNCH_BLOCKING=1 python train.py\nor run one batch on the CPU, which says which "
    "label or index it is",
)
def assertion_on_the_device(crash: Crash) -> Sign | None:
    """Find an assertion that failed on a GPU.

    A GPU works behind the program, which learns later that something failed: the line named may not
    be the cause. It is nearly always a label that is not below the number of classes, an index
    beyond an embedding's rows, or a probability outside 0 to 1 in ``BCELoss``.
    """
    layer = crash.layer
    if isinstance(layer, torch.nn.Embedding):
        return Sign(f"noticed in an embedding of {layer.num_embeddings} rows")
    logits = crash.tensor("input")
    if crash.called("cross_entropy", "nll_loss") and logits is not None and logits.dim() > 1:
        return Sign(f"noticed in a loss over {logits.shape[1]} classes")
    return Sign("")


@explains(
    r"Can't call numpy\(\) on Tensor that requires grad",
    r"can't convert (\S+) device type tensor to numpy",
    r"can't convert (\S+) device tensor to numpy",
    title="a tensor with a graph, or on a GPU, is given to NumPy",
    fix="- z.numpy()\n+ z.detach().cpu().numpy()",
)
def numpy_of_a_tensor_in_use(crash: Crash) -> Sign | None:
    """Find a tensor that NumPy cannot read.

    NumPy reads the memory of the CPU and knows of no graph: ``detach`` the tensor, and bring it to
    the CPU. Functions of NumPy, matplotlib and scikit-learn ask for it silently.
    """
    return Sign(crash.source)


@explains(
    r"Torch not compiled with CUDA enabled",
    r"Found no NVIDIA driver on your system",
    r"No CUDA GPUs are available|no CUDA-capable device is detected",
    r"not linked with support for mps devices|MPS backend is supported on MacOS",
    r"Attempting to deserialize object on (?:a CUDA|an MPS|\w+) device but",
    r"Cannot re-initialize CUDA in forked subprocess",
    r"CUDA error: invalid device ordinal",
    title="a device is asked for that is not there",
    fix="- device = 'cuda'\n"
    "+ device = 'cuda' if torch.cuda.is_available() else 'cpu'\n"
    "+ torch.load(file, map_location=device)",
)
def device_not_there(crash: Crash) -> Sign | None:
    """Find a device that this machine, or this process, does not have.

    A program that names its device runs only where there is one; files keep the device that their
    tensors were on; and a worker process that was forked cannot use the GPU of its parent.
    """
    return Sign(crash.source)


@explains(
    r"argument '(?:input|target|\w+)' \(position \d+\) must be Tensor, not (numpy\.ndarray|list|"
    r"int|float|Series|DataFrame|Image|dict|str)",
    r"'(list|dict|numpy\.ndarray)' object has no attribute "
    r"'(?:to|cuda|float|long|size|shape|dim|view|unsqueeze|requires_grad)'",
    r"received an invalid combination of arguments - got \((numpy\.ndarray|list)",
    title="something that is no tensor is given to a layer or a loss",
    fix="- model(array)\n+ model(torch.as_tensor(array, dtype=torch.float32))",
)
def argument_is_no_tensor(crash: Crash) -> Sign | None:
    """Find an array, a list or a number where PyTorch takes tensors.

    Layers and losses take tensors. A batch of a loader is a list of tensors: inputs, labels.
    """
    if crash.found[1] != "list":
        return Sign(f"it is of type {crash.found[1]}")
    fix = "- for batch in loader:\n-     model(batch)\n+ for x, y in loader:\n+     model(x)"
    return Sign("it is a list, as batches of loaders are", fix=fix)


@explains(
    r"can't convert np\.ndarray of type numpy\.(object_|str_)",
    r"too many dimensions 'str'|new\(\): invalid data type 'str'",
    title="the table holds text or mixed columns, which no tensor can",
    fix="- torch.tensor(table.values)\n+ torch.tensor(table.astype('float32').values)",
)
def text_in_the_table(_: Crash) -> Sign | None:
    """Find text, or columns of different types, that shall become a tensor.

    A tensor holds numbers of one type. Categories must be encoded, empty cells filled.
    """
    return Sign("")


def _device(kind: str) -> str:
    """Read the device in the name of a type of tensor, as ``cuda.FloatTensor``."""
    return kind.rpartition(".")[0]
