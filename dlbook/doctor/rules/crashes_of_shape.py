"""Rules about exceptions over shapes: what a layer or an operation was given does not fit it."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from dlbook.doctor.rules.crash import Crash, explains
from dlbook.doctor.rules.rule import Sign

__all__: list[str] = []

MATRICES = (
    r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)|"
    r"a and b must have same reduction dim, but got \[(\d+), (\d+)\] X \[(\d+), (\d+)\]"
)
CHANNELS = (
    r"weight of size \[[\d, ]+\], expected input\[([\w, ]+)\] to have (\d+) channels, "
    r"but got (\d+) channels"
)


@explains(
    MATRICES,
    title="the input is not flattened before the linear layer",
    fix="- x = linear(x)\n+ x = linear(x.flatten(1))",
)
def flatten_missing(crash: Crash) -> Sign | None:
    """Find a linear layer that is given images or maps with all their axes.

    A linear layer works on the last axis alone. The numbers of one example must lie in a row before
    it can take them all.
    """
    layer, given = crash.layer, crash.tensor("input")
    if not isinstance(layer, nn.Linear) or given is None or given.dim() < 3:
        return None
    if math.prod(given.shape[1:]) != layer.in_features:
        return None
    each = " x ".join(str(size) for size in given.shape[1:])
    return Sign(
        f"the input has shape {tuple(given.shape)}, and {each} is {layer.in_features}, the width "
        "that the layer takes"
    )


@explains(
    CHANNELS,
    title="the channels stand on the last axis",
    fix="- x = convolution(x)\n+ x = convolution(x.movedim(-1, 1))",
)
def channels_on_the_last_axis(crash: Crash) -> Sign | None:
    """Find a convolution that is given its channels on the last axis.

    Convolutions take the channels on the second axis, before the places: (batch, channels, height,
    width), and (batch, channels, time). Files of images, NumPy and recurrent layers have them last.
    """
    shape, expected = _sizes(crash.found[1]), int(crash.found[2])
    if shape[-1] != expected or shape[1] == expected:
        return None
    return Sign(f"the layer takes {expected} channels on axis 1, and the last axis has {expected}")


@explains(
    CHANNELS,
    r"Expected \dD \(unbatched\) or (\d)D \(batched\) input to conv\w+, but got input of size: "
    r"\[([\d, ]+)\]",
    r"expected (.*D) input \(got (\d+)D input\)",
    r"(?:LSTM|GRU|RNN)(?:Cell)?: Expected input to be (.*), got (\d+)D instead",
    r"non-empty (.*) \(batch mode\) tensor expected for input",
    r"(?:query|key|value).* should be unbatched (2D) or batched (3D) tensor",
    r"both arguments to (linear) need to be at least 1D",
    title="the input has the wrong number of axes",
    fix="+ print(x.shape)\n  x = layer(x)",
)
def wrong_number_of_axes(crash: Crash) -> Sign | None:
    """Find a layer that is given too few or too many axes.

    Layers tell batch, channels and places by the number of axes: an image without a channel axis is
    read as a batch without one, and flattened images have no places left.
    """
    layer, given = crash.layer, crash.tensor("input", "query")
    if given is None:
        return Sign("") if "channels" not in crash.message else None
    convolution = layer if isinstance(layer, nn.modules.conv._ConvNd) else None
    if "to have" in crash.message and (
        convolution is None or given.dim() >= convolution.weight.dim()
    ):
        return None
    told = f"the input has {given.dim()} axes: {tuple(given.shape)}"
    if layer is not None:
        told += f", for {crash.describe(layer)}"
    fix = ""
    if isinstance(layer, nn.modules.conv._ConvNd):
        places = layer.weight.dim() - 2
        if given.dim() == places + 1 and layer.in_channels == 1:
            fix = "- x = convolution(x)\n+ x = convolution(x.unsqueeze(1))"
        elif given.dim() < places + 1:
            sizes = ", ".join(["height", "width", "depth"][:places] if places > 1 else ["time"])
            fix = f"+ x = x.reshape(len(x), {layer.in_channels}, {sizes})\n  x = convolution(x)"
    return Sign(told, fix=fix)


@explains(
    MATRICES,
    CHANNELS,
    r"running_(?:mean|var) should contain (\d+) elements not (\d+)",
    r"Given normalized_shape=\[[\d, ]+\], expected input with shape",
    r"Expected weight to be a vector of size equal to the number of channels in input",
    r"input\.size\(-1\) must be equal to input_size\. Expected (\d+), got (\d+)",
    r"input has inconsistent input_size: got (\d+) expected (\d+)",
    r"was expecting embedding dimension of (\d+), but got (\d+)",
    r"the feature number of src and tgt must be equal to d_model",
    r"bilinear\(\): input\d size does not match weight size: got (\d+) but expected (\d+)",
    title="a layer is given an input of another width than it takes",
    fix="make the layer as wide as what arrives: print(x.shape) before it",
    born="wrong_input_width",
)
def wrong_input_width(crash: Crash) -> Sign | None:
    """Find a layer whose input has another width than it was made for.

    The weights of a layer are made for a number of features or channels, which must be what the
    layer before it gives, or what an example has.
    """
    layer = crash.layer
    given = crash.tensor("input", "query")
    if layer is None or given is None:
        own = crash.found.re.pattern == MATRICES and "(in linear)" not in crash.message
        return None if own else Sign("")
    told = f"{crash.describe(layer)} was given {tuple(given.shape)}"
    name, axis = WIDTHS.get(type(layer).__name__.replace("Lazy", ""), ("", 0))
    expected = getattr(layer, name, None)
    if not isinstance(expected, int):
        return Sign(told)
    got = given.shape[axis] if given.dim() > 1 else given.shape[-1]
    kind = type(layer).__name__
    told += f": it takes {expected} on axis {axis} and found {got}"
    fix = f"- {kind}({_first(layer, name, expected)})\n+ {kind}({_first(layer, name, got)})"
    if given.dim() == 2 and given.shape[0] == expected:
        told += "; the input lies the other way round"
        fix = "- x = layer(x)\n+ x = layer(x.T)"
    return Sign(told, fix=fix)


WIDTHS = {
    "Linear": ("in_features", -1),
    **{f"Conv{n}d": ("in_channels", 1) for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": ("in_channels", 1) for n in (1, 2, 3)},
    **{f"BatchNorm{n}d": ("num_features", 1) for n in (1, 2, 3)},
    "GroupNorm": ("num_channels", 1),
    **dict.fromkeys(("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"), ("input_size", -1)),
    "MultiheadAttention": ("embed_dim", -1),
}


@explains(
    r"Kernel size can't be greater than actual input size",
    r"Output size is too small",
    r"Padding size should be less than the corresponding input dimension",
    title="the kernel is larger than what is left of the input",
    fix="- nn.MaxPool2d(2)\nor give the convolutions padding, or the network larger inputs",
)
def kernel_larger_than_input(crash: Crash) -> Sign | None:
    """Find a convolution or pooling that is given less than its window.

    Each convolution without padding and each pooling makes the maps smaller, until one of them no
    longer holds a window.
    """
    given, layer = crash.tensor("input"), crash.layer
    shape = "" if given is None else f"the layer was given {tuple(given.shape)}"
    return Sign(shape if layer is None else f"{shape} by the time of {crash.describe(layer)}")


@explains(
    r"The shape of the \dD attn_mask is torch\.Size\(\[(.*)\]\), but should be \((.*)\)",
    r"Expected key_padded_mask\.shape\[\d\] to be (\d+), but got (\d+)",
    r"key_padding_mask.* but got|the batch number of src and tgt must be equal",
    r"shape '\[.*\]' is invalid for input of size \d+",
    title="the batch axis stands elsewhere than attention expects, or the mask has another shape",
    fix="- nn.TransformerEncoderLayer(d, heads)\n+ nn.TransformerEncoderLayer(d, heads, "
    "batch_first=True)",
)
def attention_mask_of_another_shape(crash: Crash) -> Sign | None:
    """Find attention whose mask does not fit its input.

    Without ``batch_first=True`` attention takes (time, batch, features); masks over positions are
    (time, time), masks of padding (batch, time).
    """
    given = crash.tensor("query", "src")
    if given is None:
        return None if "invalid" in crash.message else Sign("")
    return Sign(f"the input, read as (time, batch, features), has shape {tuple(given.shape)}")


@explains(
    r"shape '\[([-\d, ]+)\]' is invalid for input of size (\d+)",
    r"unflatten: Provided sizes",
    r"split_with_sizes expects split_sizes to sum exactly",
    title="a tensor is reshaped to a shape of another number of elements",
    fix="- x = x.view(-1, width)\n+ x = x.flatten(1)",
)
def reshape_to_another_size(crash: Crash) -> Sign | None:
    """Find a view or reshape to a shape that holds another number of elements.

    Reshaping keeps all numbers. The width that is written into the line is that of other inputs, of
    another network, or of another batch size: a last batch that is not full has fewer rows.
    """
    if not crash.found.re.groups:
        return Sign("")
    sizes, count = _sizes(crash.found[1]), int(crash.found[2])
    asked = math.prod(size for size in sizes if size >= 0)
    if -1 in sizes:
        return Sign(f"{count} numbers are no multiple of {asked}")
    told = f"{' x '.join(map(str, sizes))} is {asked}, and there are {count} numbers"
    rest = math.prod(sizes[1:])
    if rest and count % rest == 0:
        told += f": a batch of {count // rest}, not of {sizes[0]}"
        return Sign(told, fix=f"- x.view({sizes[0]}, …)\n+ x.view(len(x), …)")
    return Sign(told)


@explains(
    r"view size is not compatible with input tensor's size and stride",
    title="view is called on a tensor that does not lie in one piece",
    fix="- x.view(…)\n+ x.reshape(…)",
)
def view_of_scattered_memory(_: Crash) -> Sign | None:
    """Find a view of a tensor whose numbers do not lie in order.

    ``transpose`` and ``permute`` change the order of the axes and leave the numbers where they are.
    ``view`` copies nothing, so that it cannot join such axes; ``reshape`` copies where it must.
    """
    return Sign("")


@explains(
    r"Expected more than 1 value per channel when training, got input size torch\.Size\(\[(.*)\]\)",
    r"Expected more than 1 spatial element when training, got input size torch\.Size\(\[(.*)\]\)",
    title="batch normalization is given a single example",
    fix="- DataLoader(data, batch_size=n, shuffle=True)\n"
    "+ DataLoader(data, batch_size=n, shuffle=True, drop_last=True)\n"
    "or, where one example is to be predicted,\n+ model.eval()",
    born="batch_norm_over_one_example",
)
def batch_norm_over_one_example(crash: Crash) -> Sign | None:
    """Find batch normalization in training mode over one number for each channel.

    In training mode it takes mean and deviation of the batch, and of one number there is none. The
    last batch of an epoch has one example where the count leaves a remainder of one, and a
    prediction for one example needs ``model.eval()``.
    """
    sizes = _sizes(crash.found[1])
    told = f"the batch has {sizes[0]} example{'s' * (sizes[0] != 1)}, in training mode"
    lengths = [facts for facts in crash.record.around.loaders.values() if facts.batch_size]
    for facts in lengths:
        if facts.examples and facts.batch_size and facts.examples % facts.batch_size == 1:
            told += (
                f"; {facts.examples} examples in batches of {facts.batch_size} leave one for the "
                "last"
            )
    return Sign(told)


@explains(
    r"Expected hidden(?:\[\d\])? size \((.*)\), got \[(.*)\]",
    r"For (?:un)?batched [23]-D input, hx (?:and cx )?should also be",
    title="the state given to a recurrent layer is of another batch size",
    fix="- state = torch.zeros(layers, batch_size, width)\n"
    "+ state = torch.zeros(layers, len(x), width)",
)
def state_of_another_shape(crash: Crash) -> Sign | None:
    """Find a recurrent layer that is given a state of another shape.

    The state is (layers, batch, width), whatever ``batch_first`` says, and has a row for each
    sequence: one that is made for full batches does not fit the last batch of an epoch.
    """
    given = crash.tensor("input")
    told = "" if given is None else f"the input has shape {tuple(given.shape)}"
    if isinstance(crash.layer, nn.RNNBase):
        told += f" with batch_first={crash.layer.batch_first}"
    return Sign(told)


@explains(
    MATRICES,
    r"Expected size for first two dimensions of batch2 tensor to be: \[(.*)\] but got: \[(.*)\]",
    r"batch[12] must be a 3D tensor|self must be a matrix|mat2 must be a matrix",
    r"size mismatch, got input \((\d+)\), mat \((\d+)x(\d+)\), vec \((\d+)\)",
    r"inconsistent tensor size, expected tensor \[(\d+)\] and src \[(\d+)\]",
    r"einsum\(\): ",
    title="two matrices do not fit for a product",
    fix="- A @ B\n+ A @ B.mT",
)
def matrices_do_not_fit(crash: Crash) -> Sign | None:
    """Find a product of two matrices whose inner sizes differ.

    In a product of (n, k) and (k, m) the columns of the first must be as many as the rows of the
    second.
    """
    return Sign(crash.source)


@explains(
    r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton "
    r"dimension (\d+)",
    r"The expanded size of the tensor",
    r"output with shape \[.*\] doesn't match the broadcast shape",
    r"The shape of the mask \[.*\] at index \d+ does not match",
    r"shape mismatch: ",
    title="two tensors of shapes that do not fit are combined element by element",
    fix="+ print(a.shape, b.shape)",
)
def shapes_do_not_fit(crash: Crash) -> Sign | None:
    """Find an operation on two tensors whose axes are neither alike nor of size 1.

    Shapes are compared from the last axis on; two sizes must be equal, or one of them 1. A residual
    branch must keep the shape of its input, and predictions must have that of the targets.
    """
    return Sign(crash.source)


@explains(
    r"Sizes of tensors must match except in dimension (\d+)\. Expected size (\d+) but got size "
    r"(\d+) for tensor number (\d+)",
    r"Tensors must have same number of dimensions: got (\d+) and (\d+)",
    title="tensors that are joined differ in another axis",
    fix="- torch.cat([a, b])\n+ torch.cat([a, b], dim=1)",
)
def joined_shapes_differ(crash: Crash) -> Sign | None:
    """Find tensors that are joined along one axis and differ in another.

    ``cat`` lengthens one axis; all others must be alike. A skip connection joins maps of one height
    and width, which pooling of an odd size does not give back.
    """
    return Sign(crash.source)


@explains(
    r"Dimension out of range \(expected to be in range of \[(-?\d+), (-?\d+)\], but got (-?\d+)\)",
    r"number of dimensions in the tensor input does not match the length of the desired ordering",
    r"too many indices for tensor of dimension (\d+)",
    r"invalid index of a 0-dim tensor|iteration over a 0-d tensor|len\(\) of a 0-d tensor",
    title="an axis is named that the tensor does not have",
    fix="+ print(x.shape)",
)
def axis_out_of_range(crash: Crash) -> Sign | None:
    """Find an axis beyond those that a tensor has.

    Axes count from 0, and a ``squeeze``, an index or a mean before this line may have taken one
    away: ``squeeze()`` without a number also drops a batch of one.
    """
    axes = f"the tensor has {int(crash.found[2]) + 1} axes; " if crash.found.re.groups == 3 else ""
    return Sign(axes + crash.source)


@explains(
    r"a Tensor with (\d+) elements cannot be converted to Scalar",
    r"only one element tensors can be converted to Python scalars",
    r"unsupported format string passed to Tensor\.__format__",
    r"Boolean value of Tensor with more than one value is ambiguous",
    title="a tensor of many numbers is used as one",
    fix="- if (a == b):\n+ if torch.equal(a, b):\n- losses.item()\n+ losses.mean().item()",
)
def many_numbers_used_as_one(crash: Crash) -> Sign | None:
    """Find a tensor of many numbers where one is wanted.

    ``item``, ``float``, ``if`` and ``and`` take one number: take the mean, ``all()`` or ``any()``
    first.
    """
    return Sign(crash.source)


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if size.strip()]


def _first(layer: nn.Module, name: str, width: int) -> str:
    """Write the first arguments of a layer, with a width in place of its own."""
    second: Any = getattr(layer, SECOND.get(name, ""), None)
    return f"{width}, {second}" if isinstance(second, int) else str(width)


SECOND = {"in_features": "out_features", "in_channels": "out_channels", "input_size": "hidden_size"}
