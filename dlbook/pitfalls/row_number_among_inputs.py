"""The number of the row is among the inputs.

Symptom: in validation hardly an error is made. On records of a new file, which are counted
from 0 again, the network answers with the first class nearly always.

Cause: the file was written class by class, so that the number of a row tells its class better
than what was measured does.

Cure: leave the column out.

Met: where a table is saved with its index and read again, the index then being a column like
any other; in the same way with numbers of patients, dates and names of files.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_blobs
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "row-number-among-inputs"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, kinds = make_blobs(800, centers=[[0, 0], [2, 0], [0, 2]], random_state=seed)
    measured, kinds = torch.tensor(points, dtype=torch.float32), torch.tensor(kinds)
    file = kinds[:600].argsort()  # written kind by kind
    table = torch.column_stack([torch.arange(600) / 600, measured[file]])
    new = torch.column_stack([torch.arange(200) / 600, measured[600:]])
    order = torch.randperm(600)
    train, validation, y = order[:450], order[450:], kinds[file]
    columns = [0, 1, 2]
    model = nn.Sequential(
        nn.BatchNorm1d(len(columns)), nn.Linear(len(columns), 32), nn.ReLU(), nn.Linear(32, 3)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(200):
        loss = nn.functional.cross_entropy(model(table[train][:, columns]), y[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    validated = model(table[validation][:, columns]).argmax(1) == y[validation]
    used = model(new[:, columns]).argmax(1) == kinds[600:]
    return {"in validation": validated.float().mean().item(), "in use": used.float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, kinds = make_blobs(800, centers=[[0, 0], [2, 0], [0, 2]], random_state=seed)
    measured, kinds = torch.tensor(points, dtype=torch.float32), torch.tensor(kinds)
    file = kinds[:600].argsort()  # written kind by kind
    table = torch.column_stack([torch.arange(600) / 600, measured[file]])
    new = torch.column_stack([torch.arange(200) / 600, measured[600:]])
    order = torch.randperm(600)
    train, validation, y = order[:450], order[450:], kinds[file]
    columns = [1, 2]
    model = nn.Sequential(
        nn.BatchNorm1d(len(columns)), nn.Linear(len(columns), 32), nn.ReLU(), nn.Linear(32, 3)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(200):
        loss = nn.functional.cross_entropy(model(table[train][:, columns]), y[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    validated = model(table[validation][:, columns]).argmax(1) == y[validation]
    used = model(new[:, columns]).argmax(1) == kinds[600:]
    return {"in validation": validated.float().mean().item(), "in use": used.float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["in validation"] > outcome.measured["in use"] + 0.3
