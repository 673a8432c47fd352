"""``view`` makes four examples of each one.

Symptom: the loss refuses its arguments: ``Expected input batch_size (128) to match target
batch_size (32)``.

Cause: ``view(-1, 16 * 4 * 4)`` lets PyTorch choose the number of rows. Where 16 maps of 8 by 8
arrive, since the pooling was left out, that makes four rows of each image.

Cure: flatten all but the first axis, and let the layer's width be what arrives.

Met: where ``view(-1, …)`` is copied together with the width of another network.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "batch-cut-up-by-view"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
    convolution = nn.Conv2d(1, 16, kernel_size=3, padding=1)
    head = nn.Linear(16 * 4 * 4, 10)
    optimizer = torch.optim.Adam([*convolution.parameters(), *head.parameters()], lr=0.003)
    for _ in range(3):
        right = 0
        for images, labels in loader:
            maps = torch.relu(convolution(images))
            logits = head(maps.view(-1, 16 * 4 * 4))
            loss = nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((logits.argmax(1) == labels).sum())
    return {"accuracy": right / len(y)}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
    convolution = nn.Conv2d(1, 16, kernel_size=3, padding=1)
    head = nn.Linear(16 * 8 * 8, 10)
    optimizer = torch.optim.Adam([*convolution.parameters(), *head.parameters()], lr=0.003)
    for _ in range(3):
        right = 0
        for images, labels in loader:
            maps = torch.relu(convolution(images))
            logits = head(maps.flatten(1))
            loss = nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((logits.argmax(1) == labels).sum())
    return {"accuracy": right / len(y)}


def shows(outcome: Outcome) -> bool:
    return "to match target batch_size" in outcome.error
