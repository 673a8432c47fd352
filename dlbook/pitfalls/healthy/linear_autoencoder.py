"""An autoencoder has no nonlinearity at all.

Suspicious: two linear layers follow each other, which together can do no more than one.

Right: the narrow place between them is meant. No other map through eight numbers restores the
images better in the mean square than the first eight principal components, and the network finds
the same plane.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images = load_digits().data / 16
    images = images - images.mean(axis=0)
    X = torch.tensor(images, dtype=torch.float32)
    encoder, decoder = nn.Linear(64, 8, bias=False), nn.Linear(8, 64, bias=False)
    model = nn.Sequential(encoder, decoder)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(30):
        for rows in torch.randperm(len(X)).split(100):
            loss = nn.functional.mse_loss(model(X[rows]), X[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(X), X).item()
    pca = PCA(8, random_state=seed).fit(images)
    least = ((pca.inverse_transform(pca.transform(images)) - images) ** 2).mean()
    return {"by the least there is": error / least, "part of the variance": error / images.var()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["by the least there is"] < 1.05
