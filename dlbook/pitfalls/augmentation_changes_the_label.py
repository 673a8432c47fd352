"""Images are mirrored at random, and mirrored they mean something else.

Symptom: the loss stays near ln 2, that of guessing between two, and so does the accuracy near
one half; without the augmentation the network learns.

Cause: an arrow to the left is, mirrored, an arrow to the right that is labeled left. Half of
the images of each kind are mirrored, so that image and label have nothing to do with each
other.

Cure: change images only in ways that keep what they mean: these arrows may be flipped upside
down.

Met: with lists of augmentations made for photographs of things: arrows, letters, digits, signs
and X-ray images do not mean the same in a mirror.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "augmentation-changes-the-label"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, y = 0.3 * torch.randn(500, 1, 10, 10), torch.randint(2, (500,))
    for image, right, row in zip(images, y, torch.randint(2, 8, (500,)), strict=True):
        image[0, row, 2:8] += 1  # an arrow: its shaft, and its head at one end
        image[0, row - 1 : row + 2, 6 if right else 3] += 1
    features = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    model = nn.Sequential(*features, nn.Dropout(0.1), nn.Linear(128, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(12):
        for rows in torch.randperm(400).split(20):
            mirror = torch.rand(20, 1, 1, 1) < 0.5
            batch = images[rows].flip(3).where(mirror, images[rows])
            loss = nn.functional.cross_entropy(model(batch), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(images[400:]).argmax(1) == y[400:]).float().mean()
    return {"last loss": loss.item(), "accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, y = 0.3 * torch.randn(500, 1, 10, 10), torch.randint(2, (500,))
    for image, right, row in zip(images, y, torch.randint(2, 8, (500,)), strict=True):
        image[0, row, 2:8] += 1  # an arrow: its shaft, and its head at one end
        image[0, row - 1 : row + 2, 6 if right else 3] += 1
    features = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    model = nn.Sequential(*features, nn.Dropout(0.1), nn.Linear(128, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(12):
        for rows in torch.randperm(400).split(20):
            mirror = torch.rand(20, 1, 1, 1) < 0.5
            batch = images[rows].flip(2).where(mirror, images[rows])
            loss = nn.functional.cross_entropy(model(batch), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(images[400:]).argmax(1) == y[400:]).float().mean()
    return {"last loss": loss.item(), "accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["last loss"] > 0.3 and outcome.measured["accuracy"] < 0.75
