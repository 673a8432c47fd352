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

    ``bf16`` has float32's range and 8 bits of precision. ``fp16`` has 11 bits and ends at 65,504:
    gradients below 6e-8 would vanish, so the loss is scaled up before backward and the gradients
    are scaled down before the step; where one overflows, the step is left out and the scale halved.

    Parameters
    ----------
    amp : {"bf16", "fp16"} or None
        What the products are computed in; None leaves everything in the parameters' dtype.
    device : torch.device
        Where the network is.

    Raises
    ------
    ValueError
        If ``amp`` is neither; the message gives it.
    """

    def __init__(self, amp: Amp | None, device: torch.device) -> None:
        if amp is not None and amp not in DTYPES:
            raise ValueError(f"expected amp to be 'bf16', 'fp16' or None, got {amp!r}")
        self.amp = amp
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == "fp16")

    def autocast(self) -> AbstractContextManager[None]:
        """Compute the products within in 16 bits, if so asked."""
        if self.amp is None:
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.amp])

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients to the parameters'."""
        self.scaler.scale(loss).backward()

    def step(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, max_norm: float | None
    ) -> bool:
        """Clip the gradients and change the parameters; tell whether they were changed."""
        if max_norm is not None:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        before = self.scaler.get_scale() if self.amp == "fp16" else 1.0
        self.scaler.step(optimizer)
        self.scaler.update()
        return self.amp != "fp16" or self.scaler.get_scale() >= before
