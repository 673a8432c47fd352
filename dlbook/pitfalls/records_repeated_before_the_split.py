"""Records were repeated, and then split at random.

Symptom: R² in validation is far higher than on records that come in later.

Cause: each record is there three times, so that nearly every one in validation has a copy in
training: validated is what was learned by heart.

Cure: split first, and repeat in the training part only, if at all.

Met: where a small table is made longer by copying it, where a rare class is made frequent by
copying before the split, and where files were merged that overlap.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_friedman1
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "validation-overlaps-training"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_friedman1(1300, noise=2.5, random_state=seed)
    X = torch.tensor(2 * inputs - 1, dtype=torch.float32)
    Y = torch.tensor((targets - 14) / 5, dtype=torch.float32)[:, None]
    known, later = torch.arange(1300).split([300, 1000])
    known = known.repeat(3)[torch.randperm(900)]
    train, validation = known[: len(known) * 3 // 4], known[len(known) * 3 // 4 :]
    model = nn.Sequential(nn.Linear(10, 128), nn.ReLU(), nn.Linear(128, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        loss = nn.functional.mse_loss(model(X[train]), Y[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    explained = {}
    for name, rows in {"R² in validation": validation, "R² later": later}.items():
        with torch.no_grad():
            error = nn.functional.mse_loss(model(X[rows]), Y[rows])
        explained[name] = 1 - (error / Y[rows].var()).item()
    return explained


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, targets = make_friedman1(1300, noise=2.5, random_state=seed)
    X = torch.tensor(2 * inputs - 1, dtype=torch.float32)
    Y = torch.tensor((targets - 14) / 5, dtype=torch.float32)[:, None]
    known, later = torch.arange(1300).split([300, 1000])

    train, validation = known[: len(known) * 3 // 4], known[len(known) * 3 // 4 :]
    model = nn.Sequential(nn.Linear(10, 128), nn.ReLU(), nn.Linear(128, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        loss = nn.functional.mse_loss(model(X[train]), Y[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    explained = {}
    for name, rows in {"R² in validation": validation, "R² later": later}.items():
        with torch.no_grad():
            error = nn.functional.mse_loss(model(X[rows]), Y[rows])
        explained[name] = 1 - (error / Y[rows].var()).item()
    return explained


def shows(outcome: Outcome) -> bool:
    return outcome.measured["R² in validation"] > outcome.measured["R² later"] + 0.25
