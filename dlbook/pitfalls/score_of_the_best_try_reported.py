"""Many networks are tried, and the best one's accuracy in validation is reported.

Symptom: on records that come in later the accuracy is lower by a tenth or more than the one
reported.

Cause: the accuracy of each try is partly luck, and the best of many is the one with much of
it. The records that chose a network cannot judge it.

Cure: keep records aside that choose nothing, and report the accuracy on them.

Met: after a search over settings, columns or seeds, and where a competition shows a score
while it runs.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "fit"
FINDING = "score-of-the-chosen"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    y = torch.randint(2, (1625,))
    X = torch.randn(1625, 30) + 0.35 * y[:, None]
    train, validation, later = torch.arange(1625).split([200, 25, 1400])
    tries = []
    for _ in range(60):  # which three of thirty measurements are to be taken?
        columns = torch.randperm(30)[:3]
        model = nn.Linear(3, 2)
        optimizer = torch.optim.Rprop(model.parameters(), lr=0.05)
        for _ in range(15):
            loss = nn.functional.cross_entropy(model(X[train][:, columns]), y[train])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        tries.append((model(X[:, columns]).argmax(1) == y).float())
    best = max(tries, key=lambda right: right[validation].mean().item())
    return {"reported": best[validation].mean().item(), "later": best[later].mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    y = torch.randint(2, (1625,))
    X = torch.randn(1625, 30) + 0.35 * y[:, None]
    train, validation, test, later = torch.arange(1625).split([200, 25, 400, 1000])
    tries = []
    for _ in range(60):  # which three of thirty measurements are to be taken?
        columns = torch.randperm(30)[:3]
        model = nn.Linear(3, 2)
        optimizer = torch.optim.Rprop(model.parameters(), lr=0.05)
        for _ in range(15):
            loss = nn.functional.cross_entropy(model(X[train][:, columns]), y[train])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        tries.append((model(X[:, columns]).argmax(1) == y).float())
    best = max(tries, key=lambda right: right[validation].mean().item())
    return {"reported": best[test].mean().item(), "later": best[later].mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["reported"] > outcome.measured["later"] + 0.09
