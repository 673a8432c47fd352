"""All weights begin at zero.

Symptom: the loss stays where a guess is, and the network returns the same for every input.

Cause: with zeros in front, every hidden unit is zero; with zeros behind, no gradient comes back.
Only the last bias has a gradient, and it learns how frequent the classes are.

Cure: leave the weights as PyTorch draws them and begin the biases alone at zero.

Met: where the habit from linear models, which may begin at zero, is carried over to networks with
hidden layers.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "weights-all-zero"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    for name, parameter in model.named_parameters():
        if name.endswith(("weight", "bias")):
            nn.init.zeros_(parameter)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()
    accuracy = (model(X).argmax(1) == y).float().mean()
    return {"loss": loss.item(), "accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_iris(return_X_y=True)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    y = torch.tensor(labels)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()
    accuracy = (model(X).argmax(1) == y).float().mean()
    return {"loss": loss.item(), "accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss"] > 1.09 and outcome.measured["accuracy"] < 0.4
