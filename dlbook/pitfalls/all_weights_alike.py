"""All weights of a layer begin at the same value.

Symptom: the network learns no more than one with a single hidden unit would, however many it has.

Cause: units with equal weights get equal inputs and equal gradients, step after step. They never
become different, and a layer of 32 of them says no more than one.

Cure: draw the weights at random.

Met: where weights are filled with a constant, to make runs repeatable or to begin small.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "units-all-alike"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
    hidden, head = nn.Linear(64, 32), nn.Linear(32, 10)
    nn.init.constant_(hidden.weight, 0.05)
    nn.init.constant_(hidden.bias, 0.0)
    nn.init.constant_(head.weight, 0.05)
    model = nn.Sequential(hidden, nn.ReLU(), head)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(12):
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = (model(X).argmax(1) == y).float().mean()
    unlike = (hidden.weight - hidden.weight[0]).abs().max()
    return {"accuracy": accuracy.item(), "unlike": unlike.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
    hidden, head = nn.Linear(64, 32), nn.Linear(32, 10)
    nn.init.normal_(hidden.weight, std=0.05)
    nn.init.constant_(hidden.bias, 0.0)
    nn.init.normal_(head.weight, std=0.05)
    model = nn.Sequential(hidden, nn.ReLU(), head)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(12):
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = (model(X).argmax(1) == y).float().mean()
    unlike = (hidden.weight - hidden.weight[0]).abs().max()
    return {"accuracy": accuracy.item(), "unlike": unlike.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.6 and outcome.measured["unlike"] < 1e-3
