"""Pixels are subtracted as bytes.

Symptom: the accuracy stays far below what such a network reaches on the same images, and
pictures of what goes in show white where black should be.

Cause: a byte holds 0 to 255 and nothing below: 3 − 5 is 254. Where an image is a little darker
than its background, the difference is not slightly negative but nearly the largest there is.

Cure: turn the bytes into floats before anything is computed.

Met: where images are read as bytes and prepared in NumPy or PyTorch: differences of frames,
backgrounds taken away, noise or brightness added.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "inputs-wrapped-around"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    clean, labels = load_digits(return_X_y=True)
    background = rng.integers(0, 100, size=64)
    frames = (clean * 8 + background + rng.integers(0, 10, size=clean.shape)).astype(np.uint8)
    empty = (background + 5).astype(np.uint8)  # the scene without a digit
    X = torch.tensor((frames - empty) / 128, dtype=torch.float32)
    y = torch.tensor(labels)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(8):
        for rows in torch.randperm(1200).split(40):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = (model(X[1200:]).argmax(1) == y[1200:]).float().mean()
    return {"accuracy": accuracy.item(), "largest input": X.max().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    clean, labels = load_digits(return_X_y=True)
    background = rng.integers(0, 100, size=64)
    frames = (clean * 8 + background + rng.integers(0, 10, size=clean.shape)).astype(np.uint8)
    empty = (background + 5).astype(np.uint8)  # the scene without a digit
    X = torch.tensor((frames - empty.astype(float)) / 128, dtype=torch.float32)
    y = torch.tensor(labels)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(8):
        for rows in torch.randperm(1200).split(40):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = (model(X[1200:]).argmax(1) == y[1200:]).float().mean()
    return {"accuracy": accuracy.item(), "largest input": X.max().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.8 and outcome.measured["largest input"] > 1.5
