"""Networks as PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["MLP", "ConvNet", "ResNet", "ResidualBlock"]

he_normal = partial(nn.init.kaiming_normal_, nonlinearity="relu")
ACTIVATIONS: dict[str, tuple[type[nn.Module], Callable[..., Tensor]]] = {
    "relu": (nn.ReLU, he_normal),
    "leaky_relu": (nn.LeakyReLU, he_normal),
    "elu": (nn.ELU, he_normal),
    "gelu": (nn.GELU, he_normal),
    "silu": (nn.SiLU, he_normal),
    "sigmoid": (nn.Sigmoid, nn.init.xavier_normal_),
    "tanh": (nn.Tanh, nn.init.xavier_normal_),
}
NORMALIZATIONS = (None, "batch")


class MLP(nn.Module):
    """A multilayer perceptron: linear layers with an activation between them, none at the end.

    Weights are normal with mean 0. Their variance is ``2 / d_in`` before ReLU and its kin, as
    He et al. say, and ``2 / (d_in + d_out)`` before sigmoid and tanh, as Glorot and Bengio say.
    Biases start at 0.

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, of each hidden layer and of the output. Two sizes make a single
        linear layer.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"}, default "relu"
        What stands between the layers.
    generator : torch.Generator, optional
        Draws the weights; without it PyTorch's global generator does.

    Raises
    ------
    ValueError
        If there are fewer than two sizes, a size is below 1 or the activation is unknown; the
        message gives them.

    Notes
    -----
    Where nothing is said, ``nn.Linear`` draws weights and biases uniformly from
    ±1/√d_in: a third of the variance that keeps a linear layer's output as large as its input.

    Examples
    --------
    >>> model = MLP([64, 32, 10])
    >>> sum(p.numel() for p in model.parameters())
    2410
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"expected two or more sizes of at least 1, got {list(sizes)}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"no activation {activation!r}: there are {', '.join(ACTIVATIONS)}")
        make, initialize = ACTIVATIONS[activation]
        layers: list[nn.Module] = []
        for d_in, d_out in pairwise(sizes):
            linear = nn.Linear(d_in, d_out)
            initialize(linear.weight, generator=generator)
            nn.init.zeros_(linear.bias)
            layers += [linear, make()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, X: Tensor) -> Tensor:
        """Compute the output of the last linear layer, the logits.

        Parameters
        ----------
        X : Tensor of shape (n, d_in)
            A batch of examples.

        Returns
        -------
        Tensor of shape (n, d_out)
            One row for each example.
        """
        Z: Tensor = self.layers(X)
        return Z


class ConvNet(nn.Module):
    """A convolutional network: convolutions that find features, ever more and ever coarser.

    Each stage is a 3 × 3 convolution, ReLU, and the maximum of every 2 × 2 pixels, which halves
    height and width. The mean over all places that are left goes through a linear layer.

    Filters and weights are normal with mean 0 and variance ``2 / d_in``, as He et al. say, where
    ``d_in`` counts all numbers that go into one output. Biases start at 0.

    Parameters
    ----------
    channels : int
        Channels of the images: 1 for gray, 3 for color.
    classes : int
        How many logits come out.
    widths : sequence of int, default (16, 32)
        The filters of each stage.
    normalization : {None, "batch"}, default None
        ``"batch"`` puts batch normalization between convolution and ReLU. The convolutions then
        have no bias: it would be subtracted again with the mean.
    generator : torch.Generator, optional
        Draws the weights; without it PyTorch's global generator does.

    Raises
    ------
    ValueError
        If a number is below 1, there is no stage, or the normalization is unknown; the message
        gives it.

    Notes
    -----
    The mean over all places makes the network take images of any size from 2 pixels a stage up.

    References
    ----------
    M. Lin, Q. Chen and S. Yan, "Network in Network", ICLR 2014, section 3.2, for that mean.

    Examples
    --------
    >>> model = ConvNet(1, 10)
    >>> model(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    >>> sum(p.numel() for p in model.parameters())
    5130
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        widths: Sequence[int] = (16, 32),
        normalization: str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_sizes(channels, classes, widths)
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise([channels, *widths]):
            layers += _convolution(c_in, c_out, 3, normalization=normalization, generator=generator)
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers, *_classifier(widths[-1], classes, generator))
        self.channels = channels
        self.least = 2 ** len(widths)

    def forward(self, X: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        X : Tensor of shape (n, channels, h, w)
            A batch of images.

        Returns
        -------
        Tensor of shape (n, classes)
            One row for each image.

        Raises
        ------
        ValueError
            If these are not such images, or too small ones; the message gives their shape.
        """
        _check_images(X, self.channels, self.least)
        Z: Tensor = self.layers(X)
        return Z


class ResidualBlock(nn.Module):
    """Two convolutions that learn what to add to their input.

    ``Y = relu(branch(X) + shortcut(X))``

    The branch is a 3 × 3 convolution, ReLU and another one. The shortcut leads X on as it is;
    where Y has another shape, it is a 1 × 1 convolution. Both start as in ``ConvNet``.

    Parameters
    ----------
    c_in, c_out : int
        Channels of X and of Y.
    stride : int, default 1
        2 halves height and width.
    normalization : {"batch", None}, default "batch"
        ``"batch"`` puts batch normalization behind every convolution, which then has no bias.
    zero_last : bool, default False
        Let the branch start at zero, so that the block leads its input on: the gain of its last
        normalization starts at 0 or, without normalization, the filters of its last convolution.
    generator : torch.Generator, optional
        Draws the weights; without it PyTorch's global generator does.

    References
    ----------
    K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 3.

    P. Goyal et al., "Accurate, Large Minibatch SGD", arXiv:1706.02677, section 5.1, for gains that
    start at 0.

    H. Zhang, Y. N. Dauphin and T. Ma, "Fixup Initialization", ICLR 2019, section 3, for filters
    that do.

    Examples
    --------
    >>> block = ResidualBlock(4, 8, stride=2)
    >>> block(torch.zeros(5, 4, 8, 8)).shape
    torch.Size([5, 8, 4, 4])
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        stride: int = 1,
        normalization: str | None = "batch",
        zero_last: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        options: Any = {"normalization": normalization, "generator": generator}
        first = _convolution(c_in, c_out, 3, stride=stride, **options)
        second = _convolution(c_out, c_out, 3, **options)
        self.branch = nn.Sequential(*first, nn.ReLU(), *second)
        self.shortcut: nn.Module = nn.Identity()
        if c_in != c_out or stride != 1:
            self.shortcut = nn.Sequential(*_convolution(c_in, c_out, 1, stride=stride, **options))
        if zero_last:
            nn.init.zeros_(self.branch[-1].get_parameter("weight"))

    def forward(self, X: Tensor) -> Tensor:
        """Compute the sum of branch and shortcut, cut at zero.

        Parameters
        ----------
        X : Tensor of shape (n, c_in, h, w)
            A batch of images.

        Returns
        -------
        Tensor of shape (n, c_out, h / stride, w / stride)
            A batch of images; odd heights and widths are rounded up.
        """
        return torch.relu(self.branch(X) + self.shortcut(X))


class ResNet(nn.Module):
    """A residual network: a convolution, residual blocks in stages, and a linear layer.

    The first block of every stage but the first halves height and width. The mean over all places
    goes through the linear layer. Weights start as in ``ConvNet``.

    Parameters
    ----------
    channels : int
        Channels of the images: 1 for gray, 3 for color.
    classes : int
        How many logits come out.
    widths : sequence of int, default (16, 32, 64)
        The filters of each stage.
    blocks : int, default 1
        Residual blocks a stage.
    normalization : {"batch", None}, default "batch"
        As in ``ResidualBlock``.
    zero_last : bool, default False
        As in ``ResidualBlock``.
    generator : torch.Generator, optional
        Draws the weights; without it PyTorch's global generator does.

    Raises
    ------
    ValueError
        If a number is below 1, there is no stage, or the normalization is unknown; the message
        gives it.

    Notes
    -----
    With 3 stages of 16, 32 and 64 filters and 3, 5, 7, 9 or 18 blocks each, these are the networks
    of 20 to 110 layers that He et al. trained on images of 32 × 32 pixels; but their shortcuts fill
    new channels with zeros, and these lead through convolutions.

    Without normalization each block adds its branch to its input, so that the signal grows from
    block to block; ``zero_last=True`` keeps it at the start.

    References
    ----------
    K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.

    Examples
    --------
    >>> model = ResNet(3, 10, blocks=3)
    >>> model(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 10])
    >>> sum(p.numel() for p in model.parameters())
    272474
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 1,
        normalization: str | None = "batch",
        zero_last: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_sizes(channels, classes, widths, blocks)
        options: Any = {"normalization": normalization, "generator": generator}
        self.stem = nn.Sequential(*_convolution(channels, widths[0], 3, **options), nn.ReLU())
        self.blocks = nn.Sequential()
        c_in = widths[0]
        for stage, c_out in enumerate(widths):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                self.blocks.append(
                    ResidualBlock(c_in, c_out, stride=stride, zero_last=zero_last, **options)
                )
                c_in = c_out
        self.head = nn.Sequential(*_classifier(c_in, classes, generator))
        self.channels = channels

    def forward(self, X: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        X : Tensor of shape (n, channels, h, w)
            A batch of images.

        Returns
        -------
        Tensor of shape (n, classes)
            One row for each image.

        Raises
        ------
        ValueError
            If these are not such images; the message gives their shape.
        """
        _check_images(X, self.channels, least=1)
        Z: Tensor = self.head(self.blocks(self.stem(X)))
        return Z


def _convolution(
    c_in: int,
    c_out: int,
    size: int,
    *,
    stride: int = 1,
    normalization: str | None,
    generator: torch.Generator | None,
) -> list[nn.Module]:
    """Make a convolution that keeps height and width, or divides them by the stride."""
    if normalization not in NORMALIZATIONS:
        raise ValueError(f'expected normalization "batch" or None, got {normalization!r}')
    bias = normalization is None
    convolution = nn.Conv2d(c_in, c_out, size, stride=stride, padding=size // 2, bias=bias)
    he_normal(convolution.weight, generator=generator)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
        return [convolution]
    return [convolution, nn.BatchNorm2d(c_out)]


def _classifier(d_in: int, classes: int, generator: torch.Generator | None) -> list[nn.Module]:
    """Make what turns images of features into logits."""
    linear = nn.Linear(d_in, classes)
    he_normal(linear.weight, generator=generator)
    nn.init.zeros_(linear.bias)
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear]


def _check_sizes(channels: int, classes: int, widths: Sequence[int], blocks: int = 1) -> None:
    if not widths or min(channels, classes, blocks, *widths) < 1:
        raise ValueError(
            "expected numbers of at least 1 and at least one width, got "
            f"channels={channels}, classes={classes}, widths={list(widths)}, blocks={blocks}"
        )


def _check_images(X: Tensor, channels: int, least: int) -> None:
    if X.ndim != 4 or X.shape[1] != channels or min(X.shape[2:]) < least:
        raise ValueError(
            f"expected images of shape (n, {channels}, h, w) with h and w of at least {least}, "
            f"got {tuple(X.shape)}"
        )
