"""Two tasks take turns at one network, each with a head of its own.

Suspicious: in each step some parameters of the optimizer get no gradient, and two losses of
different kinds and sizes go through the same layers.

Right: the head that is not asked has nothing to learn from that batch, the optimizer passes it
over, and the shared layers learn from both.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    width = (X.view(-1, 8, 8).amax(1) > 0.25).sum(1, keepdim=True).float()  # in columns
    width = (width - width[:1400].mean()) / width[:1400].std()
    order = torch.randperm(1400)
    named, measured = order[:700], order[700:]
    which = DataLoader(TensorDataset(X[named], y[named]), batch_size=35, shuffle=True)
    how_wide = DataLoader(TensorDataset(X[measured], width[measured]), batch_size=35, shuffle=True)

    body = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
    heads = nn.ModuleDict({"which": nn.Linear(64, 10), "how wide": nn.Linear(64, 1)})
    optimizer = torch.optim.NAdam([*body.parameters(), *heads.parameters()], lr=0.004)
    for _ in range(10):
        for (X_which, y_which), (X_wide, y_wide) in zip(which, how_wide, strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(heads["which"](body(X_which)), y_which).backward()
            optimizer.step()
            optimizer.zero_grad()
            nn.functional.mse_loss(heads["how wide"](body(X_wide)), y_wide).backward()
            optimizer.step()
    with torch.no_grad():
        Z = body(X[1400:])
        right = heads["which"](Z).argmax(1) == y[1400:]
        error = nn.functional.mse_loss(heads["how wide"](Z), width[1400:])
    return {
        "accuracy": right.float().mean().item(),
        "part of the variance left": (error / width[1400:].var()).item(),
    }


def fine(outcome: Outcome) -> bool:
    left = outcome.measured["part of the variance left"]
    return outcome.measured["accuracy"] > 0.8 and left < 0.5
