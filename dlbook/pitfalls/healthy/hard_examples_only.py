"""Only the quarter of a batch with the largest losses is learned from.

Suspicious: three quarters of each batch get a gradient of exactly zero, and the loss in training is
far above that in validation.

Right: most examples are easy after a few rounds and have little to teach. Those that are hard are
chosen anew in each batch, by their losses, and the mean of the largest is what goes down.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    table, benign = load_breast_cancer(return_X_y=True)
    X, y = torch.tensor(table, dtype=torch.float32), torch.tensor(benign, dtype=torch.float32)
    train, val = torch.randperm(len(X)).split(400)
    X = (X - X[train].mean(0)) / X[train].std(0)
    loader = DataLoader(TensorDataset(X[train], y[train]), batch_size=40, shuffle=True)
    model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
    each = nn.BCEWithLogitsLoss(reduction="none")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(10):
        model.train()
        for inputs, targets in loader:
            loss = each(model(inputs), targets).topk(10).values.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            logits = model(X[val])
            val_loss = each(logits, y[val]).mean().item()
            val_accuracy = ((logits > 0) == (y[val] == 1)).float().mean().item()
    return {"last loss": loss.item(), "validation loss": val_loss, "accuracy": val_accuracy}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
