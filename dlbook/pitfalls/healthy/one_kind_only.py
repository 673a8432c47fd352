"""Only images of one digit are shown in training.

Suspicious: all examples have the same label, and in the test there are others.

Right: the network learns to copy what is usual. What it copies badly is unusual, and of that there
are no examples at hand when a watch is set up.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    eights = torch.nonzero(y == 8)[:, 0]
    train, test = eights[torch.randperm(len(eights))].split(120)
    loader = DataLoader(TensorDataset(X[train], y[train]), batch_size=20, shuffle=True)
    model = nn.Sequential(
        nn.Linear(64, 24), nn.GELU(), nn.Linear(24, 6), nn.Linear(6, 24), nn.GELU(),
        nn.Linear(24, 64),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    for _ in range(40):
        for usual, _label in loader:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(usual), usual).backward()
            optimizer.step()
    model.eval()
    both = torch.cat([X[test], X[y != 8]])
    unusual = torch.cat([torch.zeros(len(test)), torch.ones(int((y != 8).sum()))])
    with torch.no_grad():
        error = (model(both) - both).square().mean(1)
    return {"area under the curve": float(roc_auc_score(unusual.numpy(), error.numpy()))}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["area under the curve"] > 0.85
