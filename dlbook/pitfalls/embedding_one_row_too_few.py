"""The embedding has no row for the last token.

Symptom: the program stops with ``index out of range in self``.

Cause: the letters are numbered from 1, since 0 is the padding. 26 letters and the padding are 27
tokens, and an embedding of 26 rows ends with number 25.

Cure: count the padding too.

Met: where padding, or a token for what is unknown, was added to a vocabulary.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "embedding-too-small"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    number = {letter: i for i, letter in enumerate(letters, start=1)}
    lengths = torch.randint(2, 12, (500,)).tolist()
    words = ["".join(letters[i] for i in torch.randint(26, (n,))) for n in lengths]
    tokens = pad_sequence(
        [torch.tensor([number[letter] for letter in word]) for word in words], batch_first=True
    )
    y = torch.tensor([any(vowel in word for vowel in "aeiou") for word in words]).float()
    embedding = nn.Embedding(len(letters), 8, padding_idx=0)
    head = nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*embedding.parameters(), *head.parameters()], lr=0.02)
    for _ in range(100):
        logits = head(embedding(tokens).amax(1)).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"accuracy": ((logits > 0) == (y > 0)).float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    number = {letter: i for i, letter in enumerate(letters, start=1)}
    lengths = torch.randint(2, 12, (500,)).tolist()
    words = ["".join(letters[i] for i in torch.randint(26, (n,))) for n in lengths]
    tokens = pad_sequence(
        [torch.tensor([number[letter] for letter in word]) for word in words], batch_first=True
    )
    y = torch.tensor([any(vowel in word for vowel in "aeiou") for word in words]).float()
    embedding = nn.Embedding(len(letters) + 1, 8, padding_idx=0)
    head = nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*embedding.parameters(), *head.parameters()], lr=0.02)
    for _ in range(100):
        logits = head(embedding(tokens).amax(1)).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"accuracy": ((logits > 0) == (y > 0)).float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return "index out of range" in outcome.error
