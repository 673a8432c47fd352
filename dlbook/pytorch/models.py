"""Networks as PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["MLP"]

he_normal = partial(nn.init.kaiming_normal_, nonlinearity="relu")
ACTIVATIONS: dict[str, tuple[type[nn.Module], Callable[..., Tensor]]] = {
    "relu": (nn.ReLU, he_normal),
    "sigmoid": (nn.Sigmoid, nn.init.xavier_normal_),
    "tanh": (nn.Tanh, nn.init.xavier_normal_),
}


class MLP(nn.Module):
    """A multilayer perceptron: linear layers with an activation between them, none at the end.

    Weights are normal with mean 0. Their variance is ``2 / d_in`` before ReLU, as He et al. say,
    and ``2 / (d_in + d_out)`` before sigmoid and tanh, as Glorot and Bengio say. Biases start at 0.

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, of each hidden layer and of the output. Two sizes make a single
        linear layer.
    activation : {"relu", "sigmoid", "tanh"}, default "relu"
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
