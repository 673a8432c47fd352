"""The last layer has no bias, and the mean of the targets is far from zero.

Symptom: the mean of the predictions is near zero and that of the targets is 152; a constant
predictor does far better.

Cause: without a bias the prediction for an example of average inputs, which are zero once they are
standardized, is zero.

Cure: leave the bias in, or subtract the mean from the targets.

Met: where ``bias=False`` is copied from layers in front of a batch normalization, which brings a
bias of its own.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "bias-left-out"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True, scaled=False)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    Y = torch.tensor(targets, dtype=torch.float32)[:, None]
    order = torch.randperm(len(X))
    train, test = order[:350], order[350:]
    model = nn.Linear(10, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X[train]), Y[train])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = Y[test] - model(X[test])
    explained = 1 - error.square().mean() / Y[test].var()
    return {"mean_error": error.mean().item(), "explained": explained.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True, scaled=False)
    X = torch.tensor(StandardScaler().fit_transform(inputs), dtype=torch.float32)
    Y = torch.tensor(targets, dtype=torch.float32)[:, None]
    order = torch.randperm(len(X))
    train, test = order[:350], order[350:]
    model = nn.Linear(10, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X[train]), Y[train])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = Y[test] - model(X[test])
    explained = 1 - error.square().mean() / Y[test].var()
    return {"mean_error": error.mean().item(), "explained": explained.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["mean_error"] > 100 and outcome.measured["explained"] < 0
