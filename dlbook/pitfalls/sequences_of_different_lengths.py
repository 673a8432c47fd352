"""A loader is to put sequences of different lengths into one batch.

Symptom: the first batch raises a RuntimeError: stack expects each tensor to be equal size.

Cause: by default a loader stacks the records of a batch into one tensor, which only tensors of
the same shape can form.

Cure: give the loader a function that packs the sequences of a batch, so that the network reads
each one to its own end.

Met: with sentences, sounds and series; in the same way with images of several sizes.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import DataLoader, Dataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "records-of-different-shapes"


class Series(Dataset[Tensor]):
    """Sequences of any length."""

    def __init__(self, sequences: list[Tensor]) -> None:
        self.sequences = sequences

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, number: int) -> Tensor:
        return self.sequences[number]


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    labels = torch.randint(2, (240,))
    lengths = torch.randint(5, 25, (240,)).tolist()
    series = [torch.randn(n, 2) + label for n, label in zip(lengths, labels, strict=True)]
    batches = DataLoader(Series(series), batch_size=20)
    recurrent, head = nn.RNN(2, 16, batch_first=True), nn.Linear(16, 2)
    optimizer = torch.optim.Adam([*recurrent.parameters(), *head.parameters()], lr=0.01)
    for _ in range(8):
        right = 0
        for batch, targets in zip(batches, labels.split(20), strict=True):
            _, last = recurrent(batch)
            logits = head(last[0])
            loss = nn.functional.cross_entropy(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((logits.argmax(1) == targets).sum())
    return {"accuracy": right / 240}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    labels = torch.randint(2, (240,))
    lengths = torch.randint(5, 25, (240,)).tolist()
    series = [torch.randn(n, 2) + label for n, label in zip(lengths, labels, strict=True)]
    pack = partial(pack_sequence, enforce_sorted=False)
    batches = DataLoader(Series(series), batch_size=20, collate_fn=pack)
    recurrent, head = nn.RNN(2, 16, batch_first=True), nn.Linear(16, 2)
    optimizer = torch.optim.Adam([*recurrent.parameters(), *head.parameters()], lr=0.01)
    for _ in range(8):
        right = 0
        for batch, targets in zip(batches, labels.split(20), strict=True):
            _, last = recurrent(batch)
            logits = head(last[0])
            loss = nn.functional.cross_entropy(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((logits.argmax(1) == targets).sum())
    return {"accuracy": right / 240}


def shows(outcome: Outcome) -> bool:
    return "equal size" in outcome.error
