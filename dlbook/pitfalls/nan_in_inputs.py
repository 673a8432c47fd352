"""Missing values go in as nan.

Symptom: the loss is nan from the first step on, and so is every parameter.

Cause: whatever is computed with nan is nan: one missing value makes the mean over the batch
nan, the mean its gradient, and the step all parameters. Nothing raises an error.

Cure: fill what is missing, here with the mean of its column, which is 0 after scaling, or
leave such rows out.

Met: in tables read from files with empty fields, which readers of files turn into nan without
a word.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "inputs-not-finite"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    inputs[rng.random(inputs.shape) < 0.01] = np.nan  # fields that nobody filled in
    inputs = (inputs - np.nanmean(inputs, axis=0)) / np.nanstd(inputs, axis=0)
    X = torch.tensor(inputs, dtype=torch.float32)
    y = torch.tensor(labels, dtype=torch.float32)
    model = nn.Sequential(nn.Linear(30, 16), nn.GELU(), nn.Linear(16, 1), nn.Flatten(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    losses = []
    for _ in range(10):
        for rows in torch.randperm(len(X)).split(64):
            loss = nn.functional.binary_cross_entropy_with_logits(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    accuracy = ((model(X) > 0) == y).float().mean()
    return {"last loss": losses[-1], "accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    inputs[rng.random(inputs.shape) < 0.01] = np.nan  # fields that nobody filled in
    inputs = (inputs - np.nanmean(inputs, axis=0)) / np.nanstd(inputs, axis=0)
    X = torch.tensor(np.nan_to_num(inputs), dtype=torch.float32)
    y = torch.tensor(labels, dtype=torch.float32)
    model = nn.Sequential(nn.Linear(30, 16), nn.GELU(), nn.Linear(16, 1), nn.Flatten(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    losses = []
    for _ in range(10):
        for rows in torch.randperm(len(X)).split(64):
            loss = nn.functional.binary_cross_entropy_with_logits(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    accuracy = ((model(X) > 0) == y).float().mean()
    return {"last loss": losses[-1], "accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return math.isnan(outcome.measured["last loss"])
