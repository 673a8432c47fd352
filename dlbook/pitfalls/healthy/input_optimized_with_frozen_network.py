"""An image is changed until a trained network sees a three in it.

Suspicious: the optimizer holds no parameter of the network, and all of these are frozen.

Right: what is learned here is the image. The network is the measure and must stay as it is.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(nn.Linear(64, 32), nn.SiLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(5):
        for rows in torch.randperm(len(X)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()

    model.eval().requires_grad_(False)
    image = torch.full((1, 64), 0.3, requires_grad=True)
    painter = torch.optim.Adam([image], lr=0.05)
    wanted = torch.tensor([3])
    for _ in range(60):
        painter.zero_grad()
        loss = nn.functional.cross_entropy(model(image), wanted) + 0.01 * image.square().sum()
        loss.backward()
        painter.step()
        image.data.clamp_(0, 1)
    threes = X[y == 3].mean(0)
    others = torch.stack([X[y == kind].mean(0) for kind in range(10) if kind != 3]).mean(0)
    with torch.no_grad():
        probability = model(image).softmax(1)[0, 3].item()
        likeness = torch.cosine_similarity(image[0] - 0.3, threes - others, dim=0).item()
    return {"probability of a three": probability, "likeness to the mean three": likeness}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["probability of a three"] > 0.8
