"""A schedule that counts epochs is stepped after every batch.

Symptom: the loss falls a little in the first epoch and then stands still. The rate is under 1e-9.

Cause: the rate is to fall to a tenth every five epochs. Stepped after each of 45 batches, it falls
to a tenth every five batches, and nothing is left of it after one epoch.

Cure: step the schedule in the loop over the epochs, or give it its numbers in batches.

Met: where a schedule that counts batches, for warm-up or one cycle, is replaced by one that counts
epochs.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "schedule-stepped-every-batch"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
    loader = DataLoader(data, batch_size=40, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 48), nn.LeakyReLU(), nn.Linear(48, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    scheduler = StepLR(optimizer, step_size=5, gamma=0.1)
    for _ in range(8):
        for xb, yb in loader:
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(data.tensors[0]), data.tensors[1])
    return {"loss": loss.item(), "rate": optimizer.param_groups[0]["lr"]}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
    loader = DataLoader(data, batch_size=40, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 48), nn.LeakyReLU(), nn.Linear(48, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    scheduler = StepLR(optimizer, step_size=5, gamma=0.1)
    for _ in range(8):
        for xb, yb in loader:
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(data.tensors[0]), data.tensors[1])
    return {"loss": loss.item(), "rate": optimizer.param_groups[0]["lr"]}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss"] > 1.0 and outcome.measured["rate"] < 1e-9
