"""A trained network with batch normalization predicts one image at a time in training mode.

Symptom: the accuracy is high when many images are predicted at once, and far lower for the same
images one by one.

Cause: in training mode batch normalization subtracts the mean of the batch at hand. With a single
image that is the image's own mean, and what tells it from others is taken away.

Cure: ``model.eval()`` once training is over.

Met: in notebooks and services that go on with the network in memory. A network made anew, for
weights from a file, is in training mode as well.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "evaluation-in-training-mode"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    sizes = torch.randint(4, (400,))
    images = 0.3 * torch.randn(400, 1, 8, 8) + sizes[:, None, None, None] / 2
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(6), nn.Flatten()
    ).append(nn.Linear(6, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(15):
        for rows in torch.randperm(300).split(30):
            loss = nn.functional.cross_entropy(model(images[rows]), sizes[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    at_once = model(images[300:]).argmax(1)
    one_by_one = torch.tensor([model(image[None]).argmax().item() for image in images[300:]])
    return {
        "at once": (at_once == sizes[300:]).float().mean().item(),
        "one by one": (one_by_one == sizes[300:]).float().mean().item(),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    sizes = torch.randint(4, (400,))
    images = 0.3 * torch.randn(400, 1, 8, 8) + sizes[:, None, None, None] / 2
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(6), nn.Flatten()
    ).append(nn.Linear(6, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(15):
        for rows in torch.randperm(300).split(30):
            loss = nn.functional.cross_entropy(model(images[rows]), sizes[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    at_once = model(images[300:]).argmax(1)
    one_by_one = torch.tensor([model(image[None]).argmax().item() for image in images[300:]])
    return {
        "at once": (at_once == sizes[300:]).float().mean().item(),
        "one by one": (one_by_one == sizes[300:]).float().mean().item(),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["at once"] - outcome.measured["one by one"] > 0.3
