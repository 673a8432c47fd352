"""Records of the same person are in training and in validation.

Symptom: the accuracy in validation is far higher than for persons whom the network has not
met.

Cause: each person has ten records, much alike, and the same label in all of them. The network
knows the persons again, and is validated on persons whom it knows.

Cure: split the persons, not the records; here the records of a person follow each other.

Met: with several images of a patient, several sentences of a speaker, frames of a film, or
pieces cut from one long recording.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "groups-split-apart"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    ill = torch.randint(2, (440,))
    persons = torch.randn(440, 20) + 0.35 * ill[:, None]
    X = (persons[:, None] + 0.3 * torch.randn(440, 10, 20)).flatten(0, 1)
    y = ill.repeat_interleave(10)
    known, others = torch.arange(4400).split([2400, 2000])
    known = known[torch.randperm(2400)]
    train, validation = known[:1600], known[1600:]
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[train]), y[train])
        loss.backward()
        optimizer.step()
    right = (model(X).argmax(1) == y).float()
    return {
        "validation": right[validation].mean().item(),
        "other persons": right[others].mean().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    ill = torch.randint(2, (440,))
    persons = torch.randn(440, 20) + 0.35 * ill[:, None]
    X = (persons[:, None] + 0.3 * torch.randn(440, 10, 20)).flatten(0, 1)
    y = ill.repeat_interleave(10)
    known, others = torch.arange(4400).split([2400, 2000])

    train, validation = known[:1600], known[1600:]
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[train]), y[train])
        loss.backward()
        optimizer.step()
    right = (model(X).argmax(1) == y).float()
    return {
        "validation": right[validation].mean().item(),
        "other persons": right[others].mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["validation"] > outcome.measured["other persons"] + 0.16
