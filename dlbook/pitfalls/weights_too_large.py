"""The weights begin far too large.

Symptom: the first loss is several times the 2.3 of a guess among ten classes, and after the same
epochs the network is far behind one that began small.

Cause: each layer multiplies the size of its signal by the standard deviation of a weight times the
root of the number of inputs: with a standard deviation of 1 and 64 inputs, by eight. Sums of that
size drive tanh to its flat ends, where hardly any gradient passes.

Cure: divide the standard deviation by the root of the number of inputs.

Met: where weights are drawn with ``randn`` or ``normal_`` and their defaults.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "weights-too-large"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 8 - 1, dtype=torch.float32), torch.tensor(labels)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    layers = [nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=1.0)
    a, b, c, d = layers
    model = nn.Sequential(a, nn.Tanh(), b, nn.Tanh(), c, nn.Tanh(), d)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(10):
        for rows in torch.randperm(len(X_train)).split(32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X_train[rows]), y_train[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    accuracy = (model(X_test).argmax(1) == y_test).float().mean()
    return {"first_loss": losses[0], "accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 8 - 1, dtype=torch.float32), torch.tensor(labels)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    layers = [nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=64**-0.5)
    a, b, c, d = layers
    model = nn.Sequential(a, nn.Tanh(), b, nn.Tanh(), c, nn.Tanh(), d)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(10):
        for rows in torch.randperm(len(X_train)).split(32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X_train[rows]), y_train[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    accuracy = (model(X_test).argmax(1) == y_test).float().mean()
    return {"first_loss": losses[0], "accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["first_loss"] > 6 and outcome.measured["accuracy"] < 0.87
