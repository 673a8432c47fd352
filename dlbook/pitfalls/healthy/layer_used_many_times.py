"""The same layer is applied six times.

Suspicious: one set of weights gets six gradients in each backward pass, and the network looks six
layers deep and holds the parameters of one.

Right: that is what it is meant to be: a rule that is applied again and again to cells and their
neighbors. The gradients add up within one backward pass, and are cleared before the next.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Spreading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.look = nn.Conv1d(9, 16, 3, padding=1)
            self.change = nn.Conv1d(16, 8, 1)
            self.read = nn.Linear(8, 1)

        def forward(self, cells: Tensor) -> Tensor:
            states = cells.new_zeros(len(cells), 8, cells.shape[1])
            for _ in range(6):
                seen = torch.cat([cells[:, None], states], dim=1)
                states = torch.tanh(states + self.change(torch.relu(self.look(seen))))
            outputs: Tensor = self.read(states.transpose(1, 2)).squeeze(2)
            return outputs

    torch.manual_seed(seed)
    cells = (torch.rand(1200, 24) < 0.1).float()
    near = nn.functional.max_pool1d(cells[:, None], 9, stride=1, padding=4)[:, 0]
    model = Spreading()  # is there a cell set that is at most four places away?
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(10):
        for rows in torch.randperm(1000).split(50):
            loss = nn.functional.binary_cross_entropy_with_logits(model(cells[rows]), near[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = (model(cells[1000:]) > 0) == (near[1000:] > 0)
    return {"accuracy": right.float().mean().item(), "of a guess": near[1000:].mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > outcome.measured["of a guess"] + 0.2
