"""Training and validation parts come from two separate draws.

Symptom: the accuracy in validation is more than a tenth higher than on records that come in
later.

Cause: each call of ``random_split`` draws anew, so that more than half of what is validated
has been learned, with its wrong labels, by heart.

Cure: take both parts from one call.

Met: where training and validation sets are made in two places or two files, each with its own
draw; where rows are drawn with replacement.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_classification
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "validation-overlaps-training"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_classification(3000, 20, n_informative=5, flip_y=0.3, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    known, later = TensorDataset(X[:1000], y[:1000]), TensorDataset(X[1000:], y[1000:])
    train, _ = random_split(known, [0.6, 0.4])
    _, validation = random_split(known, [0.6, 0.4])
    loader = DataLoader(train, batch_size=50, shuffle=True)
    model = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(20):
        for xb, yb in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
    measured = {}
    with torch.no_grad():
        for name, part in {"validation": validation, "later": later}.items():
            xb, yb = next(iter(DataLoader(part, batch_size=2000)))
            measured[name] = (model(xb).argmax(1) == yb).float().mean().item()
    return measured


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_classification(3000, 20, n_informative=5, flip_y=0.3, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    known, later = TensorDataset(X[:1000], y[:1000]), TensorDataset(X[1000:], y[1000:])
    train, validation = random_split(known, [0.6, 0.4])
    loader = DataLoader(train, batch_size=50, shuffle=True)
    model = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(20):
        for xb, yb in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
    measured = {}
    with torch.no_grad():
        for name, part in {"validation": validation, "later": later}.items():
            xb, yb = next(iter(DataLoader(part, batch_size=2000)))
            measured[name] = (model(xb).argmax(1) == yb).float().mean().item()
    return measured


def shows(outcome: Outcome) -> bool:
    return outcome.measured["validation"] > outcome.measured["later"] + 0.1
