"""The best weights are kept without a copy.

Symptom: the weights kept as the best and loaded at the end have a loss in validation far above the
one noted when they were kept.

Cause: ``state_dict`` returns the very tensors that the optimizer changes in place. What was kept is
the network as it is now.

Cure: ``copy.deepcopy(model.state_dict())``, or a file.

Met: where the best of all epochs is kept in memory instead of in a file.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "best-weights-not-copied"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    parts = train_test_split(scale(inputs), scale(targets)[:, None], random_state=seed)
    X, X_valid, Y, Y_valid = (torch.tensor(part, dtype=torch.float32) for part in parts)
    model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    model.append(nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    lowest, best = math.inf, dict[str, Any]()
    for _ in range(250):
        loss = nn.functional.mse_loss(model(X), Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            validation = nn.functional.mse_loss(model(X_valid), Y_valid).item()
        if validation < lowest:
            lowest, best = validation, model.state_dict()
    model.load_state_dict(best)
    with torch.no_grad():
        loaded = nn.functional.mse_loss(model(X_valid), Y_valid).item()
    return {"lowest": lowest, "of the weights loaded": loaded}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    parts = train_test_split(scale(inputs), scale(targets)[:, None], random_state=seed)
    X, X_valid, Y, Y_valid = (torch.tensor(part, dtype=torch.float32) for part in parts)
    model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    model.append(nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    lowest, best = math.inf, dict[str, Any]()
    for _ in range(250):
        loss = nn.functional.mse_loss(model(X), Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            validation = nn.functional.mse_loss(model(X_valid), Y_valid).item()
        if validation < lowest:
            lowest, best = validation, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    with torch.no_grad():
        loaded = nn.functional.mse_loss(model(X_valid), Y_valid).item()
    return {"lowest": lowest, "of the weights loaded": loaded}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["of the weights loaded"] > 1.2 * outcome.measured["lowest"]
