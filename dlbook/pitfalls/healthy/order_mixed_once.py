"""The loader does not shuffle, and each epoch has the same batches.

Suspicious: ``shuffle`` is off in training, and the same batches come in the same order.

Right: the records were mixed before they were written, all classes are in each batch, and reading
them in that order is one pass over a file.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from sklearn.utils import shuffle
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = shuffle(*load_breast_cancer(return_X_y=True), random_state=seed)
    scaler = StandardScaler().fit(inputs[:400])
    X = torch.from_numpy(scaler.transform(inputs)).float()
    y = torch.from_numpy(labels)
    train_loader = DataLoader(TensorDataset(X[:400], y[:400]), batch_size=25)
    test_loader = DataLoader(TensorDataset(X[400:], y[400:]), batch_size=25)
    model = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Dropout(0.2), nn.Linear(20, 2))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _epoch in range(10):
        model.train()
        for features, target in train_loader:
            optimizer.zero_grad(set_to_none=False)
            loss = criterion(model(features), target)
            loss.backward()
            optimizer.step()
    model.eval()
    correct = 0
    with torch.no_grad():
        for features, target in test_loader:
            correct += int((model(features).argmax(dim=1) == target).sum())
    return {"accuracy": correct / 169, "part of the larger class": y[400:].float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.88
