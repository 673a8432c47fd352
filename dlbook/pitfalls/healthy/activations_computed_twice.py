"""The blocks of a network run a second time in the backward pass.

Suspicious: in training there are twice as many forward passes through the blocks as batches, with
dropout among the layers, and what the first of the two computed is gone when it is wanted.

Right: what a block computes is thrown away and computed again when its gradient is wanted, with the
same units left out: more time for less memory, and the same gradients.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter = nn.Linear(64, 48)
            self.blocks = nn.ModuleList(
                nn.Sequential(nn.LayerNorm(48), nn.Linear(48, 48), nn.GELU(), nn.Dropout(0.1))
                for _ in range(4)
            )
            self.leave = nn.Linear(48, 10)

        def forward(self, X: Tensor) -> Tensor:
            X = self.enter(X)
            for block in self.blocks:
                X = X + checkpoint(block, X, use_reentrant=False)
            logits: Tensor = self.leave(X)
            return logits

    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    train, test = torch.randperm(len(X)).split([1297, 500])
    model = Network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(4):
        model.train()
        for rows in train[torch.randperm(len(train))].split(50):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        return {"accuracy": (model(X[test]).argmax(1) == y[test]).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.9
