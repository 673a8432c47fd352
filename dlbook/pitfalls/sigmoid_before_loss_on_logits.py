"""The network ends with a sigmoid, and so does the loss begin with one.

Symptom: the probability of a label is never below one half, so that every record gets every
label, right or wrong.

Cause: ``BCEWithLogitsLoss`` takes logits and applies the sigmoid itself. What it gets lies between
0 and 1, and the sigmoid of that between 0.5 and 0.73: no label can be denied.

Cure: end the network with the linear layer, and apply the sigmoid where probabilities are read.

Met: where a network made for ``BCELoss`` is given the other loss, because that one is numerically
safer, and its last layer stays.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_multilabel_classification
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "sigmoid-before-loss-on-logits"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    counts, labels = make_multilabel_classification(1000, n_classes=6, random_state=seed)
    X, Y = torch.tensor(counts / 10, dtype=torch.float32), torch.tensor(labels).float()
    loader = DataLoader(TensorDataset(X[:800], Y[:800]), batch_size=40, shuffle=True)
    model = nn.Sequential(
        nn.Linear(20, 64),
        nn.Tanh(),
        nn.Linear(64, 6),
        nn.Sigmoid(),
    )
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.003)
    for _ in range(15):
        for inputs, targets in loader:
            loss = criterion(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        probabilities = torch.sigmoid(model(X[800:]))
    right = (probabilities >= 0.5) == (Y[800:] == 1)
    return {"lowest": probabilities.min().item(), "accuracy": right.float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    counts, labels = make_multilabel_classification(1000, n_classes=6, random_state=seed)
    X, Y = torch.tensor(counts / 10, dtype=torch.float32), torch.tensor(labels).float()
    loader = DataLoader(TensorDataset(X[:800], Y[:800]), batch_size=40, shuffle=True)
    model = nn.Sequential(
        nn.Linear(20, 64),
        nn.Tanh(),
        nn.Linear(64, 6),
    )
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.003)
    for _ in range(15):
        for inputs, targets in loader:
            loss = criterion(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        probabilities = torch.sigmoid(model(X[800:]))
    right = (probabilities >= 0.5) == (Y[800:] == 1)
    return {"lowest": probabilities.min().item(), "accuracy": right.float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["lowest"] >= 0.5 and outcome.measured["accuracy"] < 0.7
