"""ReLU stands between the last layer and the loss.

Symptom: no prediction is ever below zero, though half of the targets are, and the model explains
far less than a plain one would.

Cause: ReLU cuts off what is negative. Where the last layer falls below zero, the prediction is
zero and so is the gradient, so that nothing pulls it towards a target below zero or back above.

Cure: end with the linear layer.

Met: in networks built by a loop that puts an activation after each layer, the last one too.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_regression
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "outputs-cannot-reach-targets"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_regression(300, n_features=10, noise=5, random_state=seed)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)[:, None]
    X_train, X_test, Y_train, Y_test = X[:200], X[200:], Y[:200], Y[200:]
    model = nn.Sequential()
    for d_in, d_out in [(10, 16), (16, 1)]:
        model.append(nn.Linear(d_in, d_out))
        model.append(nn.ReLU())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(X_train), Y_train).backward()
        optimizer.step()
    with torch.no_grad():
        predictions = model(X_test)
    error = (predictions - Y_test).square().mean() / Y_test.square().mean()
    return {"lowest": predictions.min().item(), "explained": 1 - error.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_regression(300, n_features=10, noise=5, random_state=seed)
    X = torch.tensor(inputs, dtype=torch.float32)
    Y = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)[:, None]
    X_train, X_test, Y_train, Y_test = X[:200], X[200:], Y[:200], Y[200:]
    model = nn.Sequential()
    for d_in, d_out in [(10, 16), (16, 1)]:
        model.append(nn.Linear(d_in, d_out))
        if d_out > 1:
            model.append(nn.ReLU())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(X_train), Y_train).backward()
        optimizer.step()
    with torch.no_grad():
        predictions = model(X_test)
    error = (predictions - Y_test).square().mean() / Y_test.square().mean()
    return {"lowest": predictions.min().item(), "explained": 1 - error.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["lowest"] >= 0 and outcome.measured["explained"] < 0.8
