"""One class is rare, and the loss counts every record alike.

Symptom: the accuracy is high, and of the rare cases, for which the network was made, most are
missed.

Cause: three records in a hundred are of the rare class, and where both classes overlap the
common one is the more likely almost everywhere. A network that answers with it is right nearly
always, and the loss asks for no more.

Cure: give the rare class more weight in the loss, here as many times as it is rarer; judge by
how many of the rare cases are found and how many false alarms there are, not by the accuracy.

Met: with frauds, failures and diseases, and wherever one accuracy is the only number that is
looked at.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "rare-class-ignored"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    faulty = rng.random(6000) < 0.03
    signals = rng.normal(size=(6000, 5)) + 0.8 * faulty[:, None]
    X, y = torch.tensor(signals, dtype=torch.float32), torch.tensor(faulty, dtype=torch.float32)
    model = nn.Sequential(nn.Linear(5, 16), nn.SiLU(), nn.Linear(16, 1), nn.Flatten(0))
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(10):
        for rows in torch.randperm(3000).split(50):
            optimizer.zero_grad()
            criterion(model(X[rows]), y[rows]).backward()
            optimizer.step()
    alarm, rare = model(X[3000:]) > 0, y[3000:] == 1
    return {
        "accuracy": (alarm == rare).float().mean().item(),
        "recall": alarm[rare].float().mean().item(),
        "false alarms": alarm[~rare].float().mean().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    faulty = rng.random(6000) < 0.03
    signals = rng.normal(size=(6000, 5)) + 0.8 * faulty[:, None]
    X, y = torch.tensor(signals, dtype=torch.float32), torch.tensor(faulty, dtype=torch.float32)
    model = nn.Sequential(nn.Linear(5, 16), nn.SiLU(), nn.Linear(16, 1), nn.Flatten(0))
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(30.0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(10):
        for rows in torch.randperm(3000).split(50):
            optimizer.zero_grad()
            criterion(model(X[rows]), y[rows]).backward()
            optimizer.step()
    alarm, rare = model(X[3000:]) > 0, y[3000:] == 1
    return {
        "accuracy": (alarm == rare).float().mean().item(),
        "recall": alarm[rare].float().mean().item(),
        "false alarms": alarm[~rare].float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.95 and outcome.measured["recall"] < 0.4
