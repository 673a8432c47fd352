"""Each step sees a single example.

Suspicious: the loss jumps up and down by a factor of a hundred from step to step.

Right: the loss of one example says little about the mean of all. With a small rate many noisy steps
add up to one good one, and the mean over each epoch goes down.
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
    X, y = torch.tensor(table, dtype=torch.float32), torch.tensor(benign).float().unsqueeze(1)
    train, val = torch.randperm(len(X)).split(400)
    X = (X - X[train].mean(0)) / X[train].std(0)
    train_set, val_set = TensorDataset(X[train], y[train]), TensorDataset(X[val], y[val])
    train_loader = DataLoader(train_set, batch_size=1, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=169)
    model = nn.Sequential(nn.Linear(30, 16), nn.Tanh(), nn.Linear(16, 1))
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(4):
        model.train()
        losses = []
        for inputs, targets in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        right = 0
        with torch.no_grad():
            for inputs, targets in val_loader:
                right += int(((model(inputs) > 0) == (targets > 0.5)).sum())
    return {
        "validation accuracy": right / 169,
        "largest loss by the mean": max(losses) / (sum(losses) / len(losses)),
    }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["validation accuracy"] > 0.85
