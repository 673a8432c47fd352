"""A long signal is read in pieces, and the state goes from piece to piece without its graph.

Suspicious: the hidden state is detached in each step, and batches come in order of time.

Right: the state carries on what was read, and the gradient goes back through one piece only, so
that time and memory stay those of a piece. Each row of a batch goes on where its own row ended.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(1, 24, batch_first=True)
            self.head = nn.Linear(24, 1)

        def forward(self, X: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
            outputs, state = self.rnn(X, state)
            return self.head(outputs), state

    torch.manual_seed(seed)
    # In each row, a sign is shown once and holds until the next one is: often longer than a piece.
    shown = torch.rand(40, 1200, 1) < 0.05
    signs = torch.where(torch.rand(40, 1200, 1) < 0.5, -1.0, 1.0) * shown
    last = torch.zeros(40, 1)
    held = []
    for sign in signs.unbind(1):
        last = torch.where(sign == 0, last, sign)
        held.append(last)
    targets = torch.stack(held, dim=1)

    model = Reader()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.005)
    state, losses = None, []
    for piece, wanted in zip(signs.split(10, dim=1), targets.split(10, dim=1), strict=True):
        if state is not None:
            state = state.detach()
        guess, state = model(piece, state)
        loss = nn.functional.mse_loss(guess, wanted)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return {"first loss": losses[0], "last losses": sum(losses[-10:]) / 10}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["last losses"] < 0.2
