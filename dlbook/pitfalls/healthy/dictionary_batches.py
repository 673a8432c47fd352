"""Batches are dictionaries, and the network gives its loss itself.

Suspicious: the loop calls no loss function, the labels go into the network with the inputs, and
what it returns is a dictionary.

Right: the network compares its logits with the labels and uses them for nothing else; without
labels it returns the logits alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Sentences(Dataset[dict[str, Tensor]]):
        def __init__(self, size: int) -> None:
            lengths = torch.randint(4, 13, (size, 1))
            self.tokens = torch.randint(1, 30, (size, 12)) * (torch.arange(12) < lengths)
            kinds = torch.randint(2, 5, (size,))  # a sentence speaks of the words 6k to 6k + 5
            told = torch.rand(size, 12) < 0.4
            words = 6 * kinds[:, None] + torch.randint(6, (size, 12))
            self.tokens = torch.where(told & (self.tokens > 0), words, self.tokens)
            self.kinds = kinds - 2

        def __len__(self) -> int:
            return len(self.kinds)

        def __getitem__(self, i: int) -> dict[str, Tensor]:
            tokens = self.tokens[i]
            return {"input_ids": tokens, "attention_mask": tokens > 0, "labels": self.kinds[i]}

    class SentenceClassifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(30, 16, padding_idx=0)
            self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
            self.classify = nn.Linear(16, 3)

        def forward(
            self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None
        ) -> dict[str, Tensor]:
            X = self.embed(input_ids)
            X = X + self.attention(X, X, X, key_padding_mask=~attention_mask)[0]
            mask = attention_mask[:, :, None]
            logits = self.classify((X * mask).sum(1) / mask.sum(1))
            if labels is None:
                return {"logits": logits}
            return {"logits": logits, "loss": nn.functional.cross_entropy(logits, labels)}

    torch.manual_seed(seed)
    train, test = Sentences(600), Sentences(300)
    model = SentenceClassifier()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _epoch in range(5):
        model.train()
        for batch in DataLoader(train, batch_size=30, shuffle=True):
            outputs = model(**batch)
            outputs["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval()
    right = 0
    with torch.no_grad():
        for batch in DataLoader(test, batch_size=100):
            labels = batch.pop("labels")
            right += int((model(**batch)["logits"].argmax(1) == labels).sum())
    return {"accuracy": right / len(test)}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.75
