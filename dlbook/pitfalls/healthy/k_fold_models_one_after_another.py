"""One network after another is trained, each on another part of the same records.

Suspicious: networks and optimizers are made within a loop, and records that were trained on are
validated on later.

Right: each fold has a network of its own, which never sees the records that it is validated on; and
the scaling, too, is fitted to the other folds alone.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_wine(return_X_y=True)
    scores = []
    for train, validation in StratifiedKFold(5, shuffle=True, random_state=seed).split(
        inputs, labels
    ):
        scaler = StandardScaler().fit(inputs[train])
        X = torch.tensor(scaler.transform(inputs), dtype=torch.float32)
        y = torch.tensor(labels)
        model = nn.Sequential(nn.Linear(13, 24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 3))
        optimizer = torch.optim.RMSprop(model.parameters(), lr=0.003)
        model.train()
        for _epoch in range(15):
            for rows in torch.from_numpy(train)[torch.randperm(len(train))].split(16):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
                optimizer.step()
        model.eval()
        with torch.no_grad():
            scores.append((model(X[validation]).argmax(1) == y[validation]).float().mean().item())
    return {"mean accuracy": sum(scores) / len(scores), "least accuracy": min(scores)}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["mean accuracy"] > 0.9
