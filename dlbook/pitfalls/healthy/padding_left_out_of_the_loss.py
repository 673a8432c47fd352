"""Many targets are minus one hundred.

Suspicious: these targets are no class at all, and lie below zero.

Right: minus one hundred is ``ignore_index`` in PyTorch: what stands there counts neither in the
loss nor in the number it is divided by. Sequences of different lengths fit into one batch so.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from dlbook.pitfalls.programs import Measured, Outcome


class Tagger(nn.Module):
    """Says at each place whether the ones so far are even or odd."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(3, 8, padding_idx=2)
        self.recur = nn.LSTM(8, 24, batch_first=True)
        self.head = nn.Linear(24, 2)

    def forward(self, bits: Tensor) -> Tensor:
        """Return logits of shape (n, 2, T)."""
        states, _ = self.recur(self.embed(bits))
        logits: Tensor = self.head(states)
        return logits.transpose(1, 2)


def collate(sequences: list[Tensor]) -> tuple[Tensor, Tensor]:
    targets = [bits.cumsum(0) % 2 for bits in sequences]
    bits = pad_sequence(sequences, batch_first=True, padding_value=2)
    return bits, pad_sequence(targets, batch_first=True, padding_value=-100)


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    sequences = [torch.randint(2, (int(length),)) for length in torch.randint(2, 12, (500,))]
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(20):
        for rows in torch.randperm(400).split(20):
            bits, targets = collate([sequences[row] for row in rows.tolist()])
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(bits), targets).backward()
            optimizer.step()
    bits, targets = collate(sequences[400:])
    with torch.no_grad():
        right = model(bits).argmax(1) == targets
    return {"accuracy": right[targets != -100].float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.8
