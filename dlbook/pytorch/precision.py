"""Mixed precision: products in 16 bits, parameters and sums in 32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Amp", "Precision"]

Amp = Literal["bf16", "fp16"]
DTYPES: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """How a step computes: as the parameters are, or with its products in 16 bits.

    ``bf16`` has float32's range and 8 bits of precision. ``fp16`` has 11 bits, but its largest
    number is 65,504, and gradients below 3e-8 would become 0. So the loss is scaled up before
    backward, and the gradients are scaled down before the step. Where one of them is infinite or
    NaN all the same, the step is left out and the scale halved.

    Parameters
    ----------
    amp : {"bf16", "fp16"} or None
        What the products are computed in; None leaves everything in the parameters' dtype.
    device : torch.device
        Where the network is.

    Attributes
    ----------
    scaler : torch.amp.GradScaler
        Keeps the scale; without fp16 it does nothing.

    Raises
    ------
    ValueError
        If ``amp`` is neither; the message gives it.

    Notes
    -----
    The loss itself is computed in float32: PyTorch's autocast does so for its own losses.

    Examples
    --------
    >>> precision = Precision("bf16", torch.device("cpu"))
    >>> network = nn.Linear(3, 2)
    >>> with precision.autocast():
    ...     Z = network(torch.ones(4, 3))
    >>> Z.dtype, network.weight.dtype
    (torch.bfloat16, torch.float32)
    """

    def __init__(self, amp: Amp | None, device: torch.device) -> None:
        if amp is not None and amp not in DTYPES:
            raise ValueError(f"expected amp to be 'bf16', 'fp16' or None, got {amp!r}")
        self.amp = amp
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == "fp16")

    def autocast(self) -> AbstractContextManager[None]:
        """Compute the products within in 16 bits, if so asked.

        Returns
        -------
        context manager
            In it, networks and losses are to be computed.
        """
        if self.amp is None:
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.amp])

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients, scaled, to those that the parameters have.

        Parameters
        ----------
        loss : Tensor of shape ()
            The loss.
        """
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # PyTorch has no types here

    def step(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, max_norm: float | None
    ) -> bool:
        """Clip the gradients and change the parameters.

        Parameters
        ----------
        model : nn.Module
            The network, with gradients.
        optimizer : torch.optim.Optimizer
            Changes the parameters.
        max_norm : float or None
            The joint length to clip the gradients to.

        Returns
        -------
        bool
            False where the step was left out.
        """
        scale = self.scaler.get_scale()  # 1 where nothing is scaled
        if max_norm is not None:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= scale
