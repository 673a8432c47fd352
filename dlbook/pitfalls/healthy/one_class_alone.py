"""All records in training are of one class.

Suspicious: the labels of the training records are all the same and are not used, and the network's
targets are its inputs.

Right: the network learns what usual records look like, and knows unusual ones by how badly it
restores them. It needs none of these to learn from; they are for the test.
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
    usual, unusual = X[y == 0], X[y == 6]
    train, test = usual[:130], torch.cat([usual[130:], unusual])
    loader = DataLoader(TensorDataset(train), batch_size=10, shuffle=True)
    model = nn.Sequential(
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, 4),
        nn.Linear(4, 32),
        nn.ReLU(),
        nn.Linear(32, 64),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(30):
        for (batch,) in loader:
            loss = nn.functional.mse_loss(model(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        errors = (model(test) - test).square().mean(1)
    is_unusual = torch.arange(len(test)) >= len(usual) - 130
    return {"area under the curve": float(roc_auc_score(is_unusual, errors))}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["area under the curve"] > 0.9
