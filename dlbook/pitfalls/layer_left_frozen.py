"""A layer stays frozen after it was to be thawed.

Symptom: the frozen layers are at the end what they were at the start, though the second phase of
training was to change them, and accuracy stays behind what the whole network can learn.

Cause: ``requires_grad`` is an attribute of parameters. Set on a module it is a new attribute of
that module, which nobody reads, and Python does not object.

Cure: call ``requires_grad_()``, which sets it for each parameter of the module.

Met: in fine-tuning, where the head learns first and the rest is to follow.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "layers-frozen-by-a-slip"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    convolution = nn.Conv2d(1, 4, 3)
    body = nn.Sequential(convolution, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
    head = nn.Linear(36, 10)
    before = convolution.weight.detach().clone()
    body.requires_grad_(False)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=0.01)
    for epoch in range(12):
        if epoch == 3:
            body.requires_grad = True  # type: ignore[assignment]
        for rows in torch.randperm(len(X)).split(32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(head(body(X[rows])), y[rows])
            loss.backward()
            optimizer.step()
    accuracy = (head(body(X)).argmax(1) == y).float().mean()
    moved = (convolution.weight - before).abs().max()
    return {"accuracy": accuracy.item(), "body_moved": moved.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    convolution = nn.Conv2d(1, 4, 3)
    body = nn.Sequential(convolution, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
    head = nn.Linear(36, 10)
    before = convolution.weight.detach().clone()
    body.requires_grad_(False)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=0.01)
    for epoch in range(12):
        if epoch == 3:
            body.requires_grad_(True)
        for rows in torch.randperm(len(X)).split(32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(head(body(X[rows])), y[rows])
            loss.backward()
            optimizer.step()
    accuracy = (head(body(X)).argmax(1) == y).float().mean()
    moved = (convolution.weight - before).abs().max()
    return {"accuracy": accuracy.item(), "body_moved": moved.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["body_moved"] == 0 and outcome.measured["accuracy"] < 0.94
