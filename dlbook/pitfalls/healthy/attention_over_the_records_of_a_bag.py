"""Softmax goes over the first axis, which holds the records.

Suspicious: what one record counts for depends on the others, and there is one label for all.

Right: the records are those of one bag, and what is asked for is whether any of them is of a kind.
The weights say where in the bag to look, and have to sum to 1 over its records. Each step takes one
bag, since bags are of different sizes.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class BagClassifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
            self.attention = nn.Linear(32, 1)
            self.head = nn.Linear(32, 1)

        def forward(self, bag: Tensor) -> Tensor:
            Z = self.embed(bag)
            weights = self.attention(Z).softmax(dim=0)
            logit: Tensor = self.head((weights * Z).sum(dim=0))
            return logit

    torch.manual_seed(seed)
    images, kinds = load_digits(return_X_y=True)
    X, kind = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(kinds)
    zero, others = (kind == 0).nonzero().squeeze(1), (kind != 0).nonzero().squeeze(1)
    bags, labels = [], []
    for i in range(900):
        rows = others[torch.randint(len(others), (int(torch.randint(4, 10, ())),))]
        if i % 2:
            rows[0] = zero[torch.randint(len(zero), ())]
        bags.append(X[rows])
        labels.append(torch.tensor([float(i % 2)]))
    model = BagClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    for i in torch.randperm(700).tolist() + torch.randperm(700).tolist():
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(bags[i]), labels[i])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = [(model(bags[i]) > 0).float() == labels[i] for i in range(700, 900)]
    return {"accuracy": torch.cat(right).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
