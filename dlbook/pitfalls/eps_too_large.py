"""Adam's eps is larger than the gradients.

Symptom: the loss falls little, at a rate with which Adam is known to do well.

Cause: Adam divides the mean gradient by the root of its mean square plus eps, so that a step is
about as long as the rate. With gradients of 0.01 and an eps of 1 the quotient is about 0.01
instead of 1: descent on the bare gradient, at a rate far too low for it.

Cure: leave eps at 1e-8, or raise the rate as much as eps.

Met: where eps was raised for stability, as recipes for some large networks do, with a rate that
belongs to another eps.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "optimizer"
FINDING = "eps-too-large"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    X, Y = torch.tensor(inputs).float(), torch.tensor(labels).float()[:, None]
    order = torch.randperm(len(X))
    train, test = order[:400], order[400:]
    X = (X - X[train].mean(0)) / X[train].std(0)
    model = nn.Sequential(nn.Linear(30, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, eps=1.0)
    losses = []
    for _ in range(30):
        model.train()
        for rows in train[torch.randperm(400)].split(40):
            loss = nn.functional.binary_cross_entropy_with_logits(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            losses.append(nn.functional.binary_cross_entropy_with_logits(model(X[test]), Y[test]))
    return {"first": losses[0].item(), "last": losses[-1].item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    X, Y = torch.tensor(inputs).float(), torch.tensor(labels).float()[:, None]
    order = torch.randperm(len(X))
    train, test = order[:400], order[400:]
    X = (X - X[train].mean(0)) / X[train].std(0)
    model = nn.Sequential(nn.Linear(30, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, eps=1e-8)
    losses = []
    for _ in range(30):
        model.train()
        for rows in train[torch.randperm(400)].split(40):
            loss = nn.functional.binary_cross_entropy_with_logits(model(X[rows]), Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            losses.append(nn.functional.binary_cross_entropy_with_logits(model(X[test]), Y[test]))
    return {"first": losses[0].item(), "last": losses[-1].item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["last"] > 0.3
