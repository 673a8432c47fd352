"""Gradients are cut to a length in almost every step.

Suspicious: the norm of the gradient is above the limit in almost every step, often twenty times as
large, so that steps are far shorter than the gradient says.

Right: the direction stays, and the rate goes with the limit. Without the limit the loss does not
fall at this rate: the network is recurrent, and single gradients are many times as long as others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Adder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(2, 32, batch_first=True)
            self.head = nn.Linear(32, 1)
            nn.init.orthogonal_(self.rnn.get_parameter("weight_hh_l0"))

        def forward(self, sequences: Tensor) -> Tensor:
            outputs, _ = self.rnn(sequences)
            total: Tensor = self.head(outputs[:, -1])
            return total

    torch.manual_seed(seed)
    model = Adder()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    norms, losses = [], []
    for _ in range(500):
        # The sum of those numbers is asked for that are marked, on average one in four.
        numbers, marks = torch.randn(64, 10), (torch.rand(64, 10) < 0.25).float()
        targets = (numbers * marks).sum(1, keepdim=True)
        loss = nn.functional.mse_loss(model(torch.stack([numbers, marks], dim=2)), targets)
        optimizer.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5).item())
        optimizer.step()
        losses.append(loss.item())
    return {
        "steps cut": sum(norm > 0.5 for norm in norms) / len(norms),
        "first losses": sum(losses[:20]) / 20,
        "last losses": sum(losses[-20:]) / 20,
    }


def fine(outcome: Outcome) -> bool:
    losses = [outcome.measured[f"{which} losses"] for which in ("first", "last")]
    return outcome.measured["steps cut"] > 0.9 and losses[1] < losses[0] / 2
