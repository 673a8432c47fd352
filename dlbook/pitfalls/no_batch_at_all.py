"""A loader that drops the last batch has no other.

Symptom: the loss after training is to the last digit what it was before, and the epochs pass
in no time.

Cause: there are 150 records, a batch holds 256, and ``drop_last`` leaves out the one batch
that is not full. The loop over the loader runs zero times.

Cure: take batches that are smaller than the data, here 32.

Met: where the settings of a large training are taken over for a first try on a few records.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_iris
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "no-step-taken"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    loader = DataLoader(TensorDataset(X, y), batch_size=256, shuffle=True, drop_last=True)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    before = criterion(model(X), y).item()
    for _ in range(30):
        for xb, yb in loader:
            optimizer.zero_grad()
            criterion(model(xb), yb).backward()
            optimizer.step()
    after = criterion(model(X), y).item()
    return {"loss before": before, "loss after": after}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True, drop_last=True)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    before = criterion(model(X), y).item()
    for _ in range(30):
        for xb, yb in loader:
            optimizer.zero_grad()
            criterion(model(xb), yb).backward()
            optimizer.step()
    after = criterion(model(X), y).item()
    return {"loss before": before, "loss after": after}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss before"] == outcome.measured["loss after"]
