"""The last batch holds one example, and batch normalization cannot use it.

Symptom: the first epoch runs almost to its end and stops with ``Expected more than 1 value per
channel when training``.

Cause: 145 examples in batches of 16 leave one over. Batch normalization subtracts from it the mean
of its batch, which is the example itself: nothing would be left, and PyTorch refuses.

Cure: ``drop_last=True``, or a batch size that leaves more than one.

Met: where the size of a training set changes with a new split, and with batches of one.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "batch-norm-over-one-example"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels)
    order = torch.randperm(len(X))
    train, test = order[:145], order[145:]
    loader = DataLoader(TensorDataset(X[train], y[train]), batch_size=16, shuffle=True)
    model = nn.Sequential(nn.Linear(13, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(10):
        model.train()
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(X[test]).argmax(1) == y[test]).float().mean()
    return {"accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels)
    order = torch.randperm(len(X))
    train, test = order[:145], order[145:]
    data = TensorDataset(X[train], y[train])
    loader = DataLoader(data, batch_size=16, shuffle=True, drop_last=True)
    model = nn.Sequential(nn.Linear(13, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(10):
        model.train()
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(X[test]).argmax(1) == y[test]).float().mean()
    return {"accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return "Expected more than 1 value per channel" in outcome.error
