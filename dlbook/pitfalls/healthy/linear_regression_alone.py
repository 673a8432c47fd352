"""The whole network is one linear layer.

Suspicious: nothing is hidden and nothing bends, and the loss stays far from 0.

Right: the model is meant to be linear. Its weights end where those of least squares are, and what
is left of the loss is what no plane can explain.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = load_diabetes(return_X_y=True)
    inputs = StandardScaler().fit_transform(inputs)
    targets = StandardScaler().fit_transform(targets[:, None])
    X, Y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)
    model = nn.Linear(10, 1)
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(300):
        loss = criterion(model(X), Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    least_squares = LinearRegression().fit(inputs, targets)
    return {
        "variance explained": 1 - criterion(model(X), Y).item(),
        "by least squares": least_squares.score(inputs, targets),
    }


def fine(outcome: Outcome) -> bool:
    explained, most = outcome.measured["variance explained"], outcome.measured["by least squares"]
    return explained > 0.5 and abs(explained - most) < 0.01
