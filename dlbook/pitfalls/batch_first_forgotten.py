"""A recurrent layer takes examples for time steps.

Symptom: what the network says of an image depends on the images beside it: alone, many get another
class than in a batch. Accuracy stays far below what the same network reaches when told the order
of the axes.

Cause: recurrent layers expect time first and examples second. Given examples first, the layer walks
from example to example and carries what it saw of one into the next; of each image the last row
alone is used.

Cure: ``batch_first=True``.

Met: in programs whose data come from a ``DataLoader``, which puts examples first.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "samples-mixed-across-the-batch"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    rows = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 8, 8)
    y = torch.tensor(labels)
    loader = DataLoader(TensorDataset(rows[:1200], y[:1200]), batch_size=40, shuffle=True)
    lstm = nn.LSTM(8, 24)
    head = nn.Linear(24, 10)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.02)
    for _ in range(8):
        for sequences, labels in loader:
            states, _ = lstm(sequences)
            loss = nn.functional.cross_entropy(head(states[:, -1]), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        together = head(lstm(rows[1200:])[0][:, -1]).argmax(1)
        alone = torch.cat([head(lstm(row[None])[0][:, -1]).argmax(1) for row in rows[1200:]])
    accuracy = (together == y[1200:]).float().mean()
    return {"accuracy": accuracy.item(), "same_alone": (together == alone).float().mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    rows = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 8, 8)
    y = torch.tensor(labels)
    loader = DataLoader(TensorDataset(rows[:1200], y[:1200]), batch_size=40, shuffle=True)
    lstm = nn.LSTM(8, 24, batch_first=True)
    head = nn.Linear(24, 10)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.02)
    for _ in range(8):
        for sequences, labels in loader:
            states, _ = lstm(sequences)
            loss = nn.functional.cross_entropy(head(states[:, -1]), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        together = head(lstm(rows[1200:])[0][:, -1]).argmax(1)
        alone = torch.cat([head(lstm(row[None])[0][:, -1]).argmax(1) for row in rows[1200:]])
    accuracy = (together == y[1200:]).float().mean()
    return {"accuracy": accuracy.item(), "same_alone": (together == alone).float().mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["same_alone"] < 0.95 and outcome.measured["accuracy"] < 0.6
