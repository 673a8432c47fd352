"""The column to be predicted is among the inputs.

Symptom: R² in validation is near 1, too good to be true. For patients whose target nobody
knows yet, which is what the network was made for, the predictions are worse than the mean.

Cause: the slice takes all columns, with the last, the target. The network copies it. In use
the field is empty, here 0, and the copy is of no use.

Cure: leave the column out of the inputs.

Met: with tables in which the target is a column like any other, and in a hidden form where a
column is made from the target or filled in after it is known.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "target-among-inputs"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    table = torch.tensor(np.column_stack(load_diabetes(return_X_y=True)), dtype=torch.float32)
    table = table[torch.randperm(len(table))]
    mean, std = table[:300].mean(0), table[:300].std(0)
    table = (table - mean) / std
    new = table[300:].clone()
    new[:, 10] = (0 - mean[10]) / std[10]  # patients seen today: the field is not filled in yet
    columns = slice(0, 11)
    model = nn.Sequential(nn.LazyLinear(32), nn.ELU(), nn.Linear(32, 1))
    model(table[:1, columns])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(15):
        for batch in table[:300][torch.randperm(300)].split(20):
            loss = nn.functional.mse_loss(model(batch[:, columns]), batch[:, 10:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    Y, measured = table[300:, 10:], {}
    for name, rows in {"R² in validation": table[300:], "R² in use": new}.items():
        error = nn.functional.mse_loss(model(rows[:, columns]), Y)
        measured[name] = 1 - (error / Y.var()).item()
    return measured


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    table = torch.tensor(np.column_stack(load_diabetes(return_X_y=True)), dtype=torch.float32)
    table = table[torch.randperm(len(table))]
    mean, std = table[:300].mean(0), table[:300].std(0)
    table = (table - mean) / std
    new = table[300:].clone()
    new[:, 10] = (0 - mean[10]) / std[10]  # patients seen today: the field is not filled in yet
    columns = slice(0, 10)
    model = nn.Sequential(nn.LazyLinear(32), nn.ELU(), nn.Linear(32, 1))
    model(table[:1, columns])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(15):
        for batch in table[:300][torch.randperm(300)].split(20):
            loss = nn.functional.mse_loss(model(batch[:, columns]), batch[:, 10:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    Y, measured = table[300:, 10:], {}
    for name, rows in {"R² in validation": table[300:], "R² in use": new}.items():
        error = nn.functional.mse_loss(model(rows[:, columns]), Y)
        measured[name] = 1 - (error / Y.var()).item()
    return measured


def shows(outcome: Outcome) -> bool:
    return outcome.measured["R² in validation"] > 0.9 and outcome.measured["R² in use"] < 0
